//! What SES takes as an address: `local@domain`, or a display name with one in angle brackets, in 7-bit ASCII.

/// What ends or divides an address when it stands in a display name without quotes.
const SPECIALS: &str = "()<>[]:;@\\,\"";
const MAX_LOCAL: usize = 64;
const MAX_ADDRESS: usize = 320;

/// The refusals carry SES's words where they are known.
pub(super) fn check(mailbox: &str) -> Result<(), &'static str> {
    if !mailbox.is_ascii() {
        return Err("Address contains characters outside 7-bit ASCII");
    }
    if mailbox.len() > MAX_ADDRESS {
        return Err("Address is too long");
    }
    if mailbox.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("Local address contains control or whitespace");
    }
    match mailbox.strip_suffix('>') {
        None => bare(mailbox),
        Some(named) => {
            // The last one: a quoted display name may hold others.
            let (name, address) = named.rsplit_once('<').ok_or("Illegal address")?;
            display_name(name.trim())?;
            bare(address)
        }
    }
}

fn display_name(name: &str) -> Result<(), &'static str> {
    match name.strip_prefix('"') {
        None if name.contains(|character| SPECIALS.contains(character)) => Err("Illegal address"),
        None => Ok(()),
        Some(quoted) => {
            let quoted = quoted.strip_suffix('"').ok_or("Illegal address")?;
            let mut characters = quoted.chars();
            while let Some(character) = characters.next() {
                let is_escaped = character == '\\' && characters.next().is_some();
                if matches!(character, '"' | '\\') && !is_escaped {
                    return Err("Illegal address");
                }
            }
            Ok(())
        }
    }
}

fn bare(address: &str) -> Result<(), &'static str> {
    let (local, domain) = address.rsplit_once('@').ok_or("Missing final '@domain'")?;
    if local.is_empty() {
        return Err("Missing local name");
    }
    if local.contains(' ') {
        return Err("Local address contains control or whitespace");
    }
    let is_dotted_badly = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    if local.len() > MAX_LOCAL || is_dotted_badly || local.contains(|character| SPECIALS.contains(character))
    {
        return Err("Local address contains illegal characters");
    }
    if domain.is_empty() {
        return Err("Missing domain");
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !domain.split('.').all(label) {
        return Err("Domain contains illegal character");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn takes_what_ses_takes() {
        let fine = [
            "a@b",
            "approver@example.com",
            "first.last+tag@sub.example.com",
            "Sayso <sayso@example.com>",
            "Acme Inc. <a@example.com>",
            "\"Chan, Karen\" <karen@example.com>",
            "\"a \\\"quoted\\\" <name>\" <a@example.com>",
            "=?UTF-8?Q?J=C3=BCrgen?= <j@example.com>",
        ];
        for address in fine {
            assert_eq!(check(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn refuses_what_ses_refuses() {
        let wrong = [
            "",
            "nobody",
            "@example.com",
            "a@",
            "a@@b",
            "a b@example.com",
            "a@b c",
            "a@example..com",
            ".a@example.com",
            "a@-example.com",
            "a@exämple.com",
            "a@example.com, b@example.com",
            "a@example.com\r\nBcc: b@example.com",
            "Chan, Karen <karen@example.com>",
            "\"open <a@example.com>",
            "\"odd\"x\" <a@example.com>",
            "\"trailing\\\" <a@example.com>",
            "a@example.com>",
            "<a@example.com> b",
        ];
        for address in wrong {
            assert!(check(address).is_err(), "{address}");
        }
    }
}
