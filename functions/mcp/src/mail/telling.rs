//! Names of arguments whose values are probably secrets.

/// Words that suggest a secret by themselves.
const WORDS: [&str; 16] = [
    "password",
    "passwords",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "secrets",
    "token",
    "authorization",
    "credential",
    "credentials",
    "cookie",
    "cookies",
    "bearer",
    "otp",
];
/// Pairs of words that suggest a secret, joined.
const PAIRS: [&str; 10] = [
    "apikey",
    "privatekey",
    "accesskey",
    "secretkey",
    "signingkey",
    "encryptionkey",
    "sharedkey",
    "masterkey",
    "connectionstring",
    "authheader",
];
/// Last words after which the value is not the secret itself.
const ABOUT: [&str; 12] =
    ["id", "ids", "name", "names", "arn", "path", "type", "count", "length", "policy", "ttl", "expiry"];

/// Whether a value under this name is masked in a mail.
pub(super) fn is_telling(name: &str) -> bool {
    let words = words(name);
    if words.last().is_some_and(|last| ABOUT.contains(&last.as_str())) {
        return false;
    }
    let joined = words.concat();
    words.iter().any(|word| WORDS.contains(&word.as_str()))
        || PAIRS.iter().any(|pair| joined.contains(pair))
        || ["password", "passphrase", "secret", "credential"].iter().any(|word| joined.contains(word))
        || joined.ends_with("token")
}

/// `dbPassword`, `DB_PASSWORD` and `db-password` are the words `db` and `password`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut inside = false;
    let mut was_lower = false;
    for c in name.chars() {
        let begins = !inside || (was_lower && c.is_uppercase());
        inside = c.is_alphanumeric();
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        if !inside {
            continue;
        }
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::is_telling;

    #[test]
    fn names_that_tell_of_a_secret_are_known_however_they_are_written() {
        for name in [
            "password",
            "PASSWORD",
            "dbPassword",
            "DB-PASSWORD",
            "userpassword",
            "new_passwd",
            "pwd",
            "client_secret",
            "secretAccessKey",
            "aws_secret_access_key",
            "AWS_SECRET_ACCESS_KEY",
            "token",
            "access_token",
            "githubToken",
            "accesstoken",
            "apiKey",
            "api_key",
            "API-Key",
            "x-api-key",
            "apikey",
            "Authorization",
            "Proxy-Authorization",
            "credentials",
            "private key",
            "privateKeyPem",
            "ssh_private_key",
            "passphrase",
            "Set-Cookie",
            "session.cookie",
            "encryption_key",
            "connectionString",
            "otp",
        ] {
            assert!(is_telling(name), "{name}");
        }
        for name in [
            "",
            "volume_id",
            "key",
            "keys",
            "primary_key",
            "max_tokens",
            "tokens",
            "tokenizer",
            "secret_id",
            "secretName",
            "token_count",
            "password_policy",
            "author",
            "bearing",
            "passenger",
            "compass",
            "cookiecutter",
            "argv",
            "name",
        ] {
            assert!(!is_telling(name), "{name}");
        }
    }
}
