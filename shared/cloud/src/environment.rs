use thiserror::Error;

/// An environment variable is missing or wrong. The message never repeats the value.
#[derive(Debug, Error)]
#[error("environment variable {name}: {problem}")]
pub struct VariableError {
    name: &'static str,
    problem: String,
}

/// The variable, parsed; refuses when it is absent or empty. For a crate's `from_env` and nowhere else.
pub fn required<T, E: std::fmt::Display>(
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, VariableError> {
    optional(name, parse)?.ok_or_else(|| VariableError { name, problem: "it is not set".to_owned() })
}

/// The variable, parsed, or `None` when it is absent or empty. For a crate's `from_env` and nowhere else.
#[expect(clippy::disallowed_methods, reason = "the one reader of the environment, for every from_env")]
pub fn optional<T, E: std::fmt::Display>(
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, VariableError> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => {
            parse(&value).map(Some).map_err(|e| VariableError { name, problem: e.to_string() })
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(VariableError { name, problem: "it is not UTF-8".to_owned() })
        }
        _ => Ok(None),
    }
}
