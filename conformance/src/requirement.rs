//! The rows of the list of requirements.

use serde::Serialize;

/// How binding a requirement is (BCP 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Level {
    Must,
    MustNot,
    Should,
    ShouldNot,
    May,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "MUST" => Self::Must,
            "MUST NOT" => Self::MustNot,
            "SHOULD" => Self::Should,
            "SHOULD NOT" => Self::ShouldNot,
            "MAY" => Self::May,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::MustNot => "MUST NOT",
            Self::Should => "SHOULD",
            Self::ShouldNot => "SHOULD NOT",
            Self::May => "MAY",
        }
    }

    /// Whether an agent that ignores it does not conform.
    pub(crate) fn is_binding(self) -> bool {
        matches!(self, Self::Must | Self::MustNot)
    }
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) id: String,
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// Reads the rows `| id | level | text | source |` of all tables; other lines say nothing here.
pub(crate) fn parse(document: &str) -> Vec<Requirement> {
    document.lines().filter_map(parse_row).collect()
}

fn parse_row(line: &str) -> Option<Requirement> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    let id = cells.next()?.trim();
    let level = Level::parse(cells.next()?.trim())?;
    let text = cells.next()?.trim();
    is_id(id).then(|| Requirement {
        id: id.to_owned(),
        level,
        text: text.to_owned(),
    })
}

/// Whether a word is the number of a requirement, as in `S-017`.
pub(crate) fn is_id(word: &str) -> bool {
    let Some((section, number)) = word.split_once('-') else {
        return false;
    };
    section.len() == 1
        && section.bytes().all(|byte| byte.is_ascii_uppercase())
        && number.len() == 3
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_other_lines_passed_over() {
        let document = "# Title\n| id | level | requirement | source |\n|---|---|---|---|\n\
                        | S-001 | MUST | Listen. | RFC 9132 s3 |\n| S-038 | MUST NOT | Flood. | x |\n";
        let found = parse(document);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].id, "S-001");
        assert_eq!(found[1].level, Level::MustNot);
        assert_eq!(found[1].text, "Flood.");
    }
}
