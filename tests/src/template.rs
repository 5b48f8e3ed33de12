use std::collections::BTreeMap;

/// `template.yaml`, as far as a test asks: mappings in block style, found by their keys and their indentation. What
/// CloudFormation's tags mean is left alone.
pub struct Template(String);

/// Some lines of it: a mapping's.
type Block<'a> = Vec<&'a str>;

impl Template {
    /// The repository's.
    pub fn read() -> Self {
        let path = crate::workspace().join("template.yaml");
        Self(std::fs::read_to_string(path).expect("template.yaml"))
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

    fn mapping(&self, path: &[&str]) -> BTreeMap<String, String> {
        let mut block: Block<'_> = self.0.lines().filter(|line| is_content(line)).collect();
        for key in path {
            block = inside(&block, key);
        }
        let depth = block.first().map(|line| indentation(line));
        block
            .iter()
            .filter(|line| Some(indentation(line)) == depth)
            .filter_map(|line| line.trim().split_once(':'))
            .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
            .collect()
    }
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
