use std::collections::{BTreeMap, BTreeSet};

use crate::Permission;

/// `template.yaml`, as far as a test asks: mappings in block style, found by their keys and their indentation. What
/// CloudFormation's tags mean is left alone: a YAML reader would have to be taught each of them first.
pub struct Template(String);

/// What Lambda does in a function's name, and its code does not.
const OF_LAMBDA: [&str; 3] = ["- Sid: WriteItsLog", "- Sid: Trace", "- Sid: KeepLostReports"];

/// Some lines of it: a mapping's.
type Block<'a> = Vec<&'a str>;

impl Template {
    /// The repository's.
    pub fn read() -> Self {
        let path = crate::workspace().join("template.yaml");
        Self(std::fs::read_to_string(path).expect("template.yaml"))
    }

    /// The binary that a function is built from.
    pub fn binary(&self, function: &str) -> &str {
        let lines = self.resource(function);
        let named = lines.iter().find_map(|line| line.trim().strip_prefix("BuildProperties: { Binary: "));
        named.and_then(|rest| rest.strip_suffix(" }")).unwrap_or_else(|| panic!("{function} names no binary"))
    }

    /// The environment variables that a function gets, with the expressions they are given by.
    pub fn environment(&self, function: &str) -> BTreeMap<String, String> {
        let everywhere = self.mapping(&["Globals", "Function", "Environment", "Variables"]);
        let own = self.mapping(&["Resources", function, "Properties", "Environment", "Variables"]);
        everywhere.into_iter().chain(own).collect()
    }

    /// A property of a function, or the one that all have.
    pub fn property(&self, function: &str, name: &str) -> String {
        let own = self.mapping(&["Resources", function, "Properties"]).remove(name);
        let found = own.or_else(|| self.mapping(&["Globals", "Function"]).remove(name));
        found.unwrap_or_else(|| panic!("{function} has no {name}"))
    }

    /// What a function's role permits its code.
    pub fn role(&self, function: &str) -> BTreeSet<Permission> {
        let role = self.block(&["Resources", &format!("{function}Role"), "Properties", "Policies"]);
        let statements = statements(&role).into_iter().filter(|statement| {
            assert!(statement.contains(&"Effect: Allow"), "{statement:?}");
            !OF_LAMBDA.contains(&statement[0])
        });
        statements.flat_map(|statement| granted(&statement)).collect()
    }

    /// What a key's policy permits this principal: a function's role, or the account's administrators (`:root`).
    pub fn key_policy(&self, key: &str, principal: &str) -> BTreeSet<Permission> {
        let policy = self.block(&["Resources", key, "Properties", "KeyPolicy"]);
        let of_theirs = |statement: &Vec<&str>| statement.iter().any(|line| line.contains(principal));
        statements(&policy).into_iter().filter(of_theirs).flat_map(|statement| granted(&statement)).collect()
    }

    /// The lines of a resource, without comments.
    pub fn resource(&self, name: &str) -> Vec<&str> {
        self.block(&["Resources", name])
    }

    /// The names of all resources of a type.
    pub fn resources(&self, of_type: &str) -> Vec<&str> {
        let all = self.block(&["Resources"]);
        let depth = all.first().map(|line| indentation(line));
        let names = all.iter().filter(|line| Some(indentation(line)) == depth);
        let names = names.map(|line| line.trim().trim_end_matches(':'));
        names.filter(|name| self.resource(name)[0].trim() == format!("Type: {of_type}")).collect()
    }

    fn block(&self, path: &[&str]) -> Block<'_> {
        let mut block: Block<'_> = self.0.lines().filter(|line| is_content(line)).collect();
        for key in path {
            block = inside(&block, key);
        }
        block
    }

    fn mapping(&self, path: &[&str]) -> BTreeMap<String, String> {
        let block = self.block(path);
        let depth = block.first().map(|line| indentation(line));
        block
            .iter()
            .filter(|line| Some(indentation(line)) == depth)
            .filter_map(|line| line.trim().split_once(':'))
            .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
            .collect()
    }
}

/// A policy's statements, each as its trimmed lines: what begins with a `Sid`.
fn statements<'a>(policy: &Block<'a>) -> Vec<Vec<&'a str>> {
    let mut statements: Vec<Vec<&str>> = Vec::new();
    for line in policy.iter().map(|line| line.trim()) {
        match statements.last_mut() {
            _ if line.starts_with("- Sid:") => statements.push(vec![line]),
            Some(statement) => statement.push(line),
            None => {}
        }
    }
    statements
}

/// A statement's actions, each on each kind of row or of resource that it names.
fn granted(statement: &[&str]) -> Vec<Permission> {
    let actions = listed(statement, "Action:");
    let keys = listed(statement, "dynamodb:LeadingKeys:");
    let rows = keys.iter().map(|key| key.strip_suffix("#*").expect("a prefix"));
    let named = |kind: &&str| statement.iter().any(|line| line.contains(&format!(":{kind}/")));
    let kinds: Vec<&str> = rows.chain(["identity", "configuration-set"].into_iter().filter(named)).collect();
    let kinds = if kinds.is_empty() { vec![""] } else { kinds };
    let on_all =
        |action: &&str| kinds.iter().map(|kind| ((*action).to_owned(), (*kind).to_owned())).collect();
    actions.iter().flat_map(|action| -> Vec<Permission> { on_all(action) }).collect()
}

/// The values under a key: one, some in brackets, or a line each.
fn listed<'a>(lines: &[&'a str], key: &str) -> Vec<&'a str> {
    let Some(at) = lines.iter().position(|line| line.starts_with(key)) else { return Vec::new() };
    let value = lines[at][key.len()..].trim().trim_matches(['[', ']']);
    let below = lines[at + 1..].iter().map_while(|line| line.strip_prefix("- "));
    value.split(',').map(str::trim).filter(|value| !value.is_empty()).chain(below).collect()
}

fn is_content(line: &str) -> bool {
    !line.trim().is_empty() && !line.trim_start().starts_with('#')
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn inside<'a>(block: &Block<'a>, key: &str) -> Block<'a> {
    let depth = block.first().map_or(0, |line| indentation(line));
    let is_it = |line: &&str| indentation(line) == depth && line.trim() == format!("{key}:");
    let after = block.iter().skip_while(|line| !is_it(line)).skip(1);
    after.take_while(|line| indentation(line) > depth).copied().collect()
}
