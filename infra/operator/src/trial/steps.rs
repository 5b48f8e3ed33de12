//! The steps of a trial: printed as they happen, and reported at the end.

use serde_json::json;

use crate::outcome::{Report, Stopped, status};
use crate::terminal::write;

/// What went wrong, and what to do.
#[derive(Debug)]
pub(crate) struct Failed {
    what: String,
    advice: String,
}

impl Failed {
    pub(crate) fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }

    pub(crate) fn interrupted() -> Self {
        Self::new("stopped by Ctrl-C", "run it again")
    }
}

/// A step failed and is recorded. The steps after it are skipped.
#[derive(Debug)]
pub(crate) struct Ended;

struct Step {
    name: &'static str,
    ok: bool,
    detail: String,
    advice: Option<String>,
}

/// The steps so far.
pub(crate) struct Steps {
    quiet: bool,
    taken: Vec<Step>,
}

impl Steps {
    /// With `quiet`, prints nothing before the end.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, taken: Vec::new() }
    }

    /// Records how a step went.
    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        result: Result<T, Failed>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, Ended> {
        match result {
            Ok(value) => {
                self.record(Step { name, ok: true, detail: detail(&value), advice: None })?;
                Ok(value)
            }
            Err(failed) => self.fail(name, failed),
        }
    }

    /// Records a step that went wrong.
    pub(crate) fn fail<T>(&mut self, name: &'static str, failed: Failed) -> Result<T, Ended> {
        let advice = Some(failed.advice).filter(|advice| !advice.is_empty());
        self.record(Step { name, ok: false, detail: failed.what, advice })?;
        Err(Ended)
    }

    /// Tells the person who watches what to do: on standard error if standard output is quiet.
    pub(crate) fn say(&self, text: &str) -> Result<(), Ended> {
        if self.quiet {
            crate::terminal::complain(text);
            return Ok(());
        }
        write(&format!("\n{text}\n\n")).map_err(|_| Ended)
    }

    fn record(&mut self, step: Step) -> Result<(), Ended> {
        let Step { name, ok, detail, advice } = &step;
        let mark = if *ok { "ok" } else { "FAILED" };
        let advice =
            advice.as_ref().map(|advice| format!("        what to do: {advice}\n")).unwrap_or_default();
        let line = format!("{mark:6}  {name:12}  {detail}\n{advice}");
        self.taken.push(step);
        if self.quiet { Ok(()) } else { write(&line).map_err(|_| Ended) }
    }

    pub(crate) fn into_report(self) -> Result<Report, Stopped> {
        let works = self.taken.iter().all(|step| step.ok);
        let steps: Vec<_> = self
            .taken
            .iter()
            .map(|Step { name, ok, detail, advice }| {
                json!({"step": name, "ok": ok, "detail": detail, "advice": advice})
            })
            .collect();
        let text =
            if works { "\nThis deployment works.\n" } else { "\nThis deployment does not work yet.\n" }
                .to_owned();
        let status = if works { status::DONE } else { status::NOT_DONE };
        Ok(Report { text, json: json!({"works": works, "steps": steps}), status })
    }
}
