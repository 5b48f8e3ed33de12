//! The user that a server runs as, so that it cannot read the gate's files and environment.

use std::path::PathBuf;

use rustix::process::{geteuid, getuid};
use tokio::process::Command;

use super::UpstreamError;

/// A user other than root, as which this process may start a server.
#[derive(Debug, Clone)]
pub(super) struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
}

impl User {
    pub(super) fn find(name: &str) -> Result<Self, UpstreamError> {
        // A process that is not root cannot give up its other groups, and the server would have them.
        Self::find_for(name, getuid().is_root() && geteuid().is_root())
    }

    fn find_for(name: &str, is_root: bool) -> Result<Self, UpstreamError> {
        let refuse = |problem: String| UpstreamError(format!("--user {name}: {problem}"));
        if !is_root {
            let problem =
                "only root may start a server as another user: start the gate as root, or leave --user out";
            return Err(refuse(problem.to_owned()));
        }
        let found = nix::unistd::User::from_name(name);
        let found = found.map_err(|error| refuse(format!("cannot look up users: {error}")))?;
        let found = found
            .ok_or_else(|| refuse("there is no such user on this machine: name another user".to_owned()))?;
        if found.uid.is_root() {
            return Err(refuse("root can read the gate's files: name another user".to_owned()));
        }
        let (uid, gid) = (found.uid.as_raw(), found.gid.as_raw());
        Ok(Self { name: found.name, uid, gid, home: found.dir })
    }

    /// Starts `command` as this user. The standard library drops root's other groups.
    pub(super) fn put_on(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
        command.env("HOME", &self.home).env("USER", &self.name).env("LOGNAME", &self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::upstream::Upstream;

    #[test]
    fn a_user_that_does_not_part_the_server_from_the_gate_is_refused() {
        for (name, is_root, expected) in [
            ("nobody", false, "only root"),
            ("root", true, "root can read"),
            ("no-such-user", true, "no such user"),
            ("", true, "no such user"),
        ] {
            let problem = User::find_for(name, is_root).expect_err(name).to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    /// Only root can try it.
    #[tokio::test]
    async fn a_server_of_another_user_is_that_user_alone_and_reads_nothing_of_the_gates() {
        if !(getuid().is_root() && geteuid().is_root()) {
            return;
        }
        let key = tempfile::NamedTempFile::new().expect("a file");
        let script = r#"cat "$0" 2>/dev/null && read=yes || read=no
            cat "/proc/$PPID/environ" >/dev/null 2>&1 && read="$read and the environment"
            echo "{\"method\":\"$(id -u) $(id -G) $USER $LOGNAME $HOME $read\"}""#;
        let argv = ["sh", "-c", script, key.path().to_str().expect("a path")].map(str::to_owned);
        let nobody = User::find("nobody").expect("a user");
        let upstream = Upstream::command_from_env(argv.to_vec(), Some("nobody")).expect("a command");
        let mut line = upstream.open().await.expect("a server");
        let seen = line.from.recv().await.expect("a message").to_line();
        let User { uid, gid, home, .. } = nobody;
        let expected = format!("{uid} {gid} nobody nobody {} no", home.display());
        assert_eq!(seen, format!(r#"{{"method":"{expected}"}}"#));
    }
}
