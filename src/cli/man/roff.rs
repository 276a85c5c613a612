//! Words in the manual pages' markup, and the parts of ucdn-watch(1) that no argument tells of.

use std::fmt::Write as _;

/// What stands at the end of ucdn-watch(1).
pub(super) const REST_OF_PROGRAM_PAGE: &str = r#".SH "EXIT STATUS"
.TP
\fB0\fR
Done. With \-\-once: every target was polled, nothing newly failed, every due delivery was made.
.TP
\fB1\fR
With \-\-once: a task or URL newly failed. wait: one of those waited for.
.TP
\fB2\fR
Wrong usage.
.TP
\fB69\fR
The API or a webhook can't be reached, or the API refuses us.
.TP
\fB74\fR
The state can't be opened, read or written, or another instance holds it.
.TP
\fB75\fR
With \-\-once: a target could not be polled, or a delivery is still owed, or was given up.
.TP
\fB78\fR
The config is wrong.
.TP
\fB124\fR
wait ran out of time.
.TP
\fB130\fR
SIGINT ended wait.
.TP
\fB143\fR
SIGTERM ended wait.
.PP
Where several hold: 78, 74, 75, 1.
.SH SIGNALS
While it watches, SIGTERM and SIGINT stop it, a second one at once; SIGHUP makes it read its config again: a wrong one is
refused, and the running one stays.
.SH FILES
.TP
\fI/etc/ucdn\-watch/config.toml\fR
The config, unless \-\-config or UCDN_WATCH_CONFIG names another one: see \fBucdn\-watch\fR(5).
.SH ENVIRONMENT
.TP
\fBUCDN_WATCH_CONFIG\fR
The config file.
.TP
\fBUCDN_PUBLIC_KEY\fR, \fBUCDN_PRIVATE_KEY\fR, \fBUCDN_SECURITY_TOKEN\fR
The keys of wait without a config.
.TP
\fBNO_COLOR\fR
If set, nothing is coloured.
.TP
\fBSTATE_DIRECTORY\fR, \fBCREDENTIALS_DIRECTORY\fR, \fBNOTIFY_SOCKET\fR, \fBJOURNAL_STREAM\fR
As systemd sets them.
.SH "SEE ALSO"
\fBucdn\-watch\fR(5)
"#;

/// A section's heading.
pub(super) fn section(name: &str) -> String {
    format!(".SH \"{}\"\n", escaped(name).replace('"', "\\(dq"))
}

/// Text whose paragraphs are parted by empty lines.
pub(super) fn paragraphs(text: &str) -> String {
    text.split("\n\n")
        .fold(String::new(), |mut page, paragraph| {
            // Writing to a string can't fail.
            let _ = writeln!(page, ".PP\n{}", escaped(paragraph.trim()));
            page
        })
}

/// Text that is no markup, whatever it holds.
pub(super) fn escaped(text: &str) -> String {
    let text = text
        .replace('\\', "\\(rs")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    let lines = text.lines().map(|line| {
        if line.starts_with('.') {
            format!("\\&{line}")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_gives_no_orders() {
        assert_eq!(
            escaped(".SH x\n'so y\n\\fB-a"),
            "\\&.SH x\n\\(aqso y\n\\(rsfB\\-a"
        );
        assert_eq!(paragraphs("a\n\nb"), ".PP\na\n.PP\nb\n");
    }
}
