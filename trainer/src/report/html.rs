//! Text into HTML.

use std::fmt::Write as _;

use super::{SIMULATED, Table};

/// Text as it stands in an element or an attribute. Characters that no page may hold and those that turn the
/// direction of what follows become visible replacements.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{FFFD}'),
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// A table; `simulated` is said in its caption.
pub fn table(table: &Table, simulated: bool) -> String {
    let mut out = String::from("<div class=\"wide\"><table>\n<caption>");
    out += &escaped(&table.title);
    if simulated {
        let _ = write!(out, "<span class=\"simulated\">{SIMULATED}</span>");
    }
    out += "</caption>\n<thead><tr>";
    for cell in &table.header {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(cell));
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        out += "<tr>";
        for (place, cell) in row.iter().enumerate() {
            let (open, close) = if place == 0 {
                ("<th scope=\"row\">", "</th>")
            } else {
                ("<td>", "</td>")
            };
            let _ = write!(out, "{open}{}{close}", escaped(cell));
        }
        out += "</tr>\n";
    }
    out += "</tbody></table></div>\n";
    for note in &table.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(note));
    }
    out
}

/// Counts by truth (row) and call (column), each cell shaded by its share of the row.
pub fn confusion(title: &str, classes: &[String], counts: &[Vec<usize>], simulated: bool) -> String {
    let mut out = format!(
        "<div class=\"wide\"><table class=\"confusion\">\n<caption>{}",
        escaped(title)
    );
    if simulated {
        let _ = write!(out, "<span class=\"simulated\">{SIMULATED}</span>");
    }
    out += "</caption>\n<thead><tr><th scope=\"col\">truth ↓ called →</th>";
    for class in classes {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(class));
    }
    out += "<th scope=\"col\">units</th></tr></thead>\n<tbody>\n";
    for (class, row) in classes.iter().zip(counts) {
        let of: usize = row.iter().sum();
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escaped(class));
        for count in row {
            let share = if of == 0 { 0.0 } else { *count as f64 / of as f64 };
            let _ = write!(
                out,
                "<td style=\"background:rgba(0,114,178,{:.2})\">{count} <small>{:.0} %</small></td>",
                0.55 * share,
                100.0 * share
            );
        }
        let _ = writeln!(out, "<td>{of}</td></tr>");
    }
    out += "</tbody></table></div>\n";
    out
}

/// A figure with a legend: number of the colour and name.
pub fn figure(svg: &str, caption: &str, legend: &[(usize, String)]) -> String {
    let mut out = format!("<figure>\n{svg}<figcaption>{}", escaped(caption));
    if !legend.is_empty() {
        out += "<ul class=\"legend\">";
        for (number, name) in legend {
            let style = number % super::plot::STYLES;
            let _ = write!(
                out,
                "<li><span class=\"key k{style}\"></span>{}</li>",
                escaped(name)
            );
        }
        out += "</ul>";
    }
    out += "</figcaption>\n</figure>\n";
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_leaves_its_place(text in any::<String>()) {
            let out = escaped(&text);
            let marks = out.contains(['<', '>', '"', '\'', '\0', '\u{202E}']);
            prop_assert!(!marks, "{out}");
            let entities = ["amp;", "lt;", "gt;", "quot;", "#39;"];
            let whole = out.split('&').skip(1).all(|rest| entities.iter().any(|e| rest.starts_with(e)));
            prop_assert!(whole, "{out}");
        }
    }
}
