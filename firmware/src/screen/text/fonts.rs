//! The fonts in the binary, and which of them has a character.
//!
//! Licences and how the files were made: `fonts/README.md`.

use swash::FontRef;

use super::Weight;

static REGULAR: &[u8] = include_bytes!("fonts/NotoSans-Regular.ttf");
static BOLD: &[u8] = include_bytes!("fonts/NotoSans-Bold.ttf");
static HEBREW: &[u8] = include_bytes!("fonts/NotoSansHebrew-Regular.ttf");
static ARABIC: &[u8] = include_bytes!("fonts/NotoSansArabic-Regular.ttf");
static THAI: &[u8] = include_bytes!("fonts/NotoSansThai-Regular.ttf");
static EAST_ASIAN: &[u8] = include_bytes!("fonts/DroidSansFallback.ttf");

/// One font.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum FontName {
    /// Latin, Greek, Cyrillic.
    Regular,
    Bold,
    Hebrew,
    Arabic,
    Thai,
    /// Chinese characters, kana, Hangul.
    EastAsian,
}

/// Fonts of other scripts, asked in this order; they come in one weight only.
const OTHERS: [FontName; 4] = [
    FontName::Hebrew,
    FontName::Arabic,
    FontName::Thai,
    FontName::EastAsian,
];

const ALL: [FontName; 6] = [
    FontName::Regular,
    FontName::Bold,
    FontName::Hebrew,
    FontName::Arabic,
    FontName::Thai,
    FontName::EastAsian,
];

/// All fonts, opened.
pub(super) struct Fonts([FontRef<'static>; ALL.len()]);

impl Fonts {
    pub(super) fn open() -> Self {
        Self(ALL.map(|name| {
            let bytes = match name {
                FontName::Regular => REGULAR,
                FontName::Bold => BOLD,
                FontName::Hebrew => HEBREW,
                FontName::Arabic => ARABIC,
                FontName::Thai => THAI,
                FontName::EastAsian => EAST_ASIAN,
            };
            // The files are part of the binary; a test opens each of them.
            FontRef::from_index(bytes, 0).expect("a font of the binary opens")
        }))
    }

    pub(super) fn get(&self, name: FontName) -> FontRef<'static> {
        self.0[name as usize]
    }

    /// The font that draws a character, if there is one.
    pub(super) fn with(&self, c: char, weight: Weight) -> Option<FontName> {
        let latin = match weight {
            Weight::Regular => FontName::Regular,
            Weight::Bold => FontName::Bold,
        };
        [latin].into_iter().chain(OTHERS).find(|name| self.has(*name, c))
    }

    pub(super) fn has(&self, name: FontName, c: char) -> bool {
        self.get(name).charmap().map(c) != 0
    }
}
