//! One HTML page to browse patterns: everything in one file, nothing from the network.
//!
//! Every picture is in the page once, as JPEG in a style rule, and every cell is a window onto it. So
//! a click can show the whole picture, and a hundred cells of the same picture cost nothing.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;

use super::Encoder;
use super::sheet::Drawn;
use crate::data::{Picture, Source};

const QUALITY: u8 = 88;

/// The page's frame, style and script; `{{…}}` is filled in.
const FRAME: &str = include_str!("page.html");

/// A page in the making.
#[derive(Debug)]
pub struct Page {
    /// Style rules, one a picture.
    pictures: String,
    known: BTreeSet<usize>,
    /// One section a pattern.
    sections: String,
    count: usize,
}

/// What the page is about.
#[derive(Clone, Debug)]
pub struct About {
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// Patches of a cell along a side; 0 where cells are whole pictures.
    pub window: usize,
    /// What purity is measured by: "part", "class", or nothing.
    pub known: Option<&'static str>,
}

impl Default for Page {
    fn default() -> Self {
        Self::new()
    }
}

impl Page {
    pub fn new() -> Self {
        Page {
            pictures: String::new(),
            known: BTreeSet::new(),
            sections: String::new(),
            count: 0,
        }
    }

    /// Adds a pattern, behind those that are there.
    ///
    /// # Errors
    /// A picture that cannot be packed.
    pub fn add(&mut self, drawn: &Drawn, source: &dyn Source) -> Result<()> {
        let pattern = &drawn.pattern;
        let (name, purity) = match &pattern.shows {
            Some(shows) => (shows.name.as_str(), shows.purity),
            None => ("", 0.0),
        };
        let rank = self.count;
        self.count += 1;
        write!(
            self.sections,
            "<section data-rank={rank} data-population={} data-confidence={:.5} data-purity={purity:.5} \
             data-name=\"{}\"><h2>{}</h2><p>",
            pattern.population.members,
            pattern.population.confidence,
            escape(name),
            pattern.id,
        )?;
        if !name.is_empty() {
            write!(
                self.sections,
                "<b>{}</b> {:.0} % · ",
                escape(name),
                100.0 * purity
            )?;
        }
        write!(
            self.sections,
            "{} members in {} pictures · mean cosine {:.2}</p><div class=sheet>",
            pattern.population.members, pattern.population.pictures, pattern.population.confidence
        )?;
        for (choice, view) in pattern.choices.iter().zip(&drawn.views) {
            if self.known.insert(choice.picture) {
                let data = jpeg(view)?;
                let data = STANDARD.encode(data);
                writeln!(
                    self.pictures,
                    ".p{}{{background-image:url(data:image/jpeg;base64,{data})}}",
                    choice.picture
                )?;
            }
            let label = source.label(choice.picture);
            let class = label.and_then(|label| source.classes().get(label));
            write!(
                self.sections,
                "<button class=\"c p{}\" data-p={} data-v={:.3} title=\"{}\"{}></button>",
                choice.picture,
                choice.patch,
                choice.value,
                escape(&source.name(choice.picture)),
                match class {
                    Some(class) => format!(" data-class=\"{}\"", escape(class)),
                    None => String::new(),
                }
            )?;
        }
        self.sections.push_str("</div></section>\n");
        Ok(())
    }

    /// The whole page.
    pub fn finish(self, about: &About, encoder: &Encoder) -> String {
        let purity = match about.known {
            Some(known) => format!("<option value=purity>purity ({known})</option>"),
            None => String::new(),
        };
        let values = [
            ("{{title}}", escape(&about.title)),
            ("{{subtitle}}", escape(&about.subtitle)),
            ("{{count}}", self.count.to_string()),
            ("{{purity}}", purity),
            ("{{grid}}", encoder.grid().to_string()),
            ("{{window}}", about.window.to_string()),
            ("{{pictures}}", self.pictures),
            ("{{sections}}", self.sections),
        ];
        // Each placeholder is in the frame once, in this order: what is filled in is never searched.
        let mut page = String::new();
        let mut rest = FRAME;
        for (name, value) in values {
            if let Some((before, after)) = rest.split_once(name) {
                page.push_str(before);
                page.push_str(&value);
                rest = after;
            }
        }
        page.push_str(rest);
        page
    }
}

fn jpeg(picture: &Picture) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    picture.to_image()?.write_with_encoder(encoder)?;
    Ok(bytes)
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::parts::Parts;
    use crate::explore::bank::Population;
    use crate::explore::patterns::{Choice, Pattern};
    use crate::explore::tests::tiny_encoder;

    #[test]
    fn a_page_is_whole_and_holds_every_picture_once() {
        let source = Parts::new(8, 32, 0);
        let choice = |picture, patch| Choice {
            picture,
            patch,
            value: 0.5,
        };
        let drawn = Drawn {
            pattern: Pattern {
                id: 7,
                population: Population {
                    members: 3,
                    pictures: 2,
                    confidence: 0.5,
                },
                shows: None,
                choices: vec![choice(2, 1), choice(2, 15), choice(3, 0)],
            },
            views: vec![
                source.load(2).unwrap(),
                source.load(2).unwrap(),
                source.load(3).unwrap(),
            ],
        };
        let mut page = Page::new();
        page.add(&drawn, &source).unwrap();
        let about = About {
            title: "<b> & \"c\" {{sections}}".into(),
            subtitle: "x".into(),
            window: 5,
            known: Some("part"),
        };
        let html = page.finish(&about, &tiny_encoder());
        assert_eq!(html.matches("base64,").count(), 2);
        assert_eq!(html.matches("<button class=\"c ").count(), 3);
        assert_eq!(html.matches("<section").count(), 1);
        // What a name contains is shown, not obeyed; only what the page itself says in braces is filled in.
        assert!(
            html.contains("&lt;b&gt; &amp; &quot;c&quot; {{sections}}"),
            "{html}"
        );
        assert!(!html.contains("{{grid}}") && !html.contains("<b> &"));
        assert!(!html.contains("http"), "something is loaded from elsewhere");
    }
}
