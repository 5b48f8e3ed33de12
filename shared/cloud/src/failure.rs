use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use thiserror::Error;

use crate::VariableError;

/// The plumbing broke: nothing a caller asked for is refused, and nothing is known to have happened. Carries what an
/// operator needs and no more: AWS's messages name addresses and keys, so only the error's code is kept.
#[derive(Debug, Error)]
pub enum Failure {
    /// A call to AWS did not succeed.
    #[error("{call} failed: {code}")]
    Call {
        /// The API's name for the call.
        call: &'static str,
        /// AWS's code, or the stage at which the call broke.
        code: String,
    },
    /// A row of the table is not what its writers can have written.
    #[error("{row} is corrupt: {attribute}: {problem}")]
    Corrupt {
        /// The kind of row and the approval's id; for an agent only the kind.
        row: String,
        /// Which attribute.
        attribute: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl Failure {
    /// Of a call by this name in IAM, such as `dynamodb:GetItem`: the code, and nothing else of the error.
    pub fn call<E: ProvideErrorMetadata, R>(call: &'static str, error: &SdkError<E, R>) -> Self {
        let code = match error {
            SdkError::ConstructionFailure(_) => "request could not be built",
            SdkError::TimeoutError(_) => "timed out",
            SdkError::DispatchFailure(_) => "no connection",
            SdkError::ResponseError(_) => "unreadable answer",
            SdkError::ServiceError(service) => service.err().code().unwrap_or("unknown error"),
            _ => "unknown failure",
        };
        Self::Call { call, code: code.to_owned() }
    }

    /// The SDK did not take what this call was to be made of: nothing was sent. Its message would repeat the row.
    pub(crate) fn not_built(call: &'static str) -> Self {
        Self::Call { call, code: "request could not be built".to_owned() }
    }

    /// The answer to this call is not what AWS's API says it is.
    pub(crate) fn unreadable(call: &'static str) -> Self {
        Self::Call { call, code: "unreadable answer".to_owned() }
    }

    pub(crate) fn corrupt(row: &str, attribute: &'static str, problem: impl ToString) -> Self {
        Self::Corrupt { row: row.to_owned(), attribute, problem: problem.to_string() }
    }
}

/// A function cannot start: its environment is wrong, or AWS does not answer.
#[derive(Debug, Error)]
pub enum StartError {
    /// The environment.
    #[error(transparent)]
    Environment(#[from] VariableError),
    /// AWS.
    #[error(transparent)]
    Aws(#[from] Failure),
}
