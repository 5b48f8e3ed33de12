//! Public keys, named by thumbprint or by file.

use std::path::{Path, PathBuf};

use sayso_model::token::{Jwk, Jwks, KeyId};

use super::file::named;
use crate::outcome::Stopped;

/// Far above any genuine set of keys.
const MAX_KEYS_BYTES: u64 = 1024 * 1024;

/// The ids of keys that are named by thumbprint or by file.
pub(super) fn key_ids(keys: &[String]) -> Result<Vec<KeyId>, Stopped> {
    let mut ids = Vec::new();
    for key in keys {
        match KeyId::parse(key) {
            Ok(id) => ids.push(id),
            Err(_) => {
                let path = Path::new(key);
                let keys = keys_of(path)?;
                let keys = keys.iter().map(|jwk| jwk.to_public_key().map(|key| key.id()));
                ids.extend(keys.collect::<Result<Vec<_>, _>>().map_err(|e| not_keys(path, &e))?);
            }
        }
    }
    Ok(ids)
}

/// All the keys in these files.
pub(super) fn keys_in(files: &[PathBuf]) -> Result<Vec<Jwk>, Stopped> {
    Ok(files.iter().map(|path| keys_of(path)).collect::<Result<Vec<_>, _>>()?.concat())
}

fn keys_of(path: &Path) -> Result<Vec<Jwk>, Stopped> {
    let length = std::fs::metadata(path).map_err(|e| not_keys(path, &e))?.len();
    if length > MAX_KEYS_BYTES {
        return Err(not_keys(path, &"it is too long"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| not_keys(path, &e))?;
    let keys: Jwks =
        serde_json::from_str(&text).map_err(|_| not_keys(path, &"it is not a JSON Web Key Set"))?;
    if keys.keys.is_empty() { Err(not_keys(path, &"there is no key in it")) } else { Ok(keys.keys) }
}

fn not_keys(path: &Path, problem: &dyn std::fmt::Display) -> Stopped {
    Stopped::usage(format!("{} cannot be used as keys: {problem}", named(path)))
}
