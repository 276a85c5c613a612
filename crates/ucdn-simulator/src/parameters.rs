//! Parameters of an API request, decoded, and the list query that they form.

use super::wire::Refusal;

/// Decoded names and values, in the order of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Adds the pairs of a query string or a form.
    pub(crate) fn read(&mut self, encoded: &str) {
        self.0
            .extend(form_urlencoded::parse(encoded.as_bytes()).into_owned());
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A value. `None` if it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs()
            .find(|(key, value)| *key == name && !value.is_empty())
            .map(|(_, value)| value)
    }

    /// The members `NAME.0`, `NAME.1`, … by number. A literal `NAME.N` is an unknown parameter and ignored.
    pub(crate) fn array(&self, name: &str) -> Vec<String> {
        let mut members: Vec<(u32, String)> = self
            .pairs()
            .filter_map(|(key, value)| {
                let index = key.strip_prefix(name)?.strip_prefix('.')?.parse().ok()?;
                Some((index, value.to_owned()))
            })
            .collect();
        members.sort_by_key(|(index, _)| *index);
        members.into_iter().map(|(_, value)| value).collect()
    }

    fn natural<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, Refusal> {
        self.get(name)
            .map(str::parse)
            .transpose()
            .map_err(|_| Refusal::parameter(name))
    }
}

/// The parameters of a list request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListQuery {
    pub(crate) begin: Option<i64>,
    pub(crate) end: Option<i64>,
    pub(crate) status: Option<String>,
    pub(crate) offset: usize,
    /// `None` asks for everything.
    pub(crate) limit: Option<usize>,
    pub(crate) is_dcdn: bool,
    pub(crate) project_id: Option<String>,
    pub(crate) task_ids: Vec<String>,
}

impl ListQuery {
    /// Reads the parameters of the vendor's page and ignores others.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self, Refusal> {
        let query = Self {
            begin: parameters.natural::<u32>("BeginTime")?.map(i64::from),
            end: parameters.natural::<u32>("EndTime")?.map(i64::from),
            status: parameters.get("Status").map(str::to_owned),
            offset: parameters.natural("Offset")?.unwrap_or(0),
            limit: parameters.natural("Limit")?.filter(|limit| *limit > 0),
            is_dcdn: parameters
                .get("IsDcdn")
                .map(str::parse)
                .transpose()
                .map_err(|_| Refusal::parameter("IsDcdn"))?
                .unwrap_or(false),
            project_id: parameters.get("ProjectId").map(str::to_owned),
            task_ids: parameters.array("TaskId"),
        };
        if query.end.is_some() && query.begin.is_none() {
            return Err(Refusal::parameter("BeginTime"));
        }
        Ok(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(encoded: &str) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.read(encoded);
        parameters
    }

    #[test]
    fn forms_are_decoded() {
        let read = parameters("PublicKey=a%2Bb%2F%3D&Url=x+y&odd=100%&flag");
        assert_eq!(read.get("PublicKey"), Some("a+b/="));
        assert_eq!(read.get("Url"), Some("x y"));
        assert_eq!(read.get("odd"), Some("100%"));
        assert_eq!(read.get("flag"), None);
    }

    #[test]
    fn a_literal_placeholder_is_not_a_member_of_an_array() {
        let read = parameters("TaskId.10=c&TaskId.2=b&TaskId.N=x&TaskId.0=a");
        assert_eq!(read.array("TaskId"), ["a", "b", "c"]);
    }

    #[test]
    fn malformed_parameters_are_refused() {
        for bad in [
            "Limit=-1",
            "Offset=x",
            "BeginTime=1.5",
            "IsDcdn=True",
            "EndTime=5",
        ] {
            assert!(ListQuery::read(&parameters(bad)).is_err(), "{bad}");
        }
    }
}
