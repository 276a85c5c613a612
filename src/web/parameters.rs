//! A request's query as parameters: each of them known, and said once unless it may be repeated. Pure.

use std::fmt::Display;
use std::str::FromStr;

/// What stood behind `?`. What was left empty, as forms do, counts as not said.
#[derive(Debug)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
}

/// What is wrong with a query, for whoever wrote it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}`: {why}")]
pub(super) struct Mistake {
    pub(super) name: String,
    pub(super) why: String,
}

impl Mistake {
    pub(super) fn new(name: &str, why: impl Display) -> Self {
        Self {
            name: name.to_owned(),
            why: why.to_string(),
        }
    }
}

impl Parameters {
    /// Reads a query in which these names may stand.
    pub(super) fn read(query: &str, known: &[&str]) -> Result<Self, Mistake> {
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&&*name) {
                let known = known.join(", ");
                return Err(Mistake::new(
                    &name,
                    format_args!("no such parameter; there are: {known}"),
                ));
            }
            if !value.is_empty() {
                pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(Self { pairs })
    }

    /// Every value of a parameter that may be repeated.
    pub(super) fn all<T>(&self, name: &str) -> Result<Vec<T>, Mistake>
    where
        T: FromStr<Err: Display>,
    {
        let values = self.pairs.iter().filter(|(known, _)| known == name);
        let parsed = values.map(|(_, value)| value.parse());
        parsed
            .map(|value| value.map_err(|error| Mistake::new(name, error)))
            .collect()
    }

    /// The value of a parameter that may be said once.
    pub(super) fn one<T>(&self, name: &str) -> Result<Option<T>, Mistake>
    where
        T: FromStr<Err: Display>,
    {
        let mut values = self.all(name)?;
        if values.len() > 1 {
            return Err(Mistake::new(name, "may be said only once"));
        }
        Ok(values.pop())
    }

    /// The values of a parameter, as they were said.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.pairs.iter().filter(move |(known, _)| known == name);
        pairs.map(|(_, value)| value.as_str())
    }

    /// The query again, with this value in place of whatever was said; an empty one: with none.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs.iter().filter(|(known, _)| known != name));
        if !value.is_empty() {
            query.append_pair(name, value);
        }
        query.finish()
    }

    /// Refuses two that contradict each other.
    pub(super) fn refuse_both(&self, one: &str, other: &str) -> Result<(), Mistake> {
        let is_said = |name| self.pairs.iter().any(|(known, _)| known == name);
        if is_said(one) && is_said(other) {
            let why = format_args!("can't be said together with `{one}`");
            return Err(Mistake::new(other, why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["target", "limit"];

    fn read(query: &str) -> Result<Parameters, Mistake> {
        Parameters::read(query, &KNOWN)
    }

    #[test]
    fn values_come_unpacked_and_what_is_left_empty_is_not_said() {
        let parameters = read("target=a%26b&target=%E5%9B%BE+x&limit=").unwrap();
        let targets: Vec<String> = parameters.all("target").unwrap();
        assert_eq!(targets, ["a&b", "图 x"]);
        assert_eq!(parameters.one::<u8>("limit").unwrap(), None);
    }

    #[test]
    fn slips_are_told_with_their_parameter() {
        let said = |mistake: Mistake| mistake.to_string();
        assert_eq!(
            said(read("targets=a").unwrap_err()),
            "`targets`: no such parameter; there are: target, limit"
        );
        let parameters = read("limit=1&limit=2").unwrap();
        assert_eq!(
            said(parameters.one::<u8>("limit").unwrap_err()),
            "`limit`: may be said only once"
        );
        let parameters = read("limit=many&target=x").unwrap();
        assert_eq!(
            said(parameters.one::<u8>("limit").unwrap_err()),
            "`limit`: invalid digit found in string"
        );
        assert_eq!(
            said(parameters.refuse_both("limit", "target").unwrap_err()),
            "`target`: can't be said together with `limit`"
        );
    }
}
