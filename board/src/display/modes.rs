//! Which card and which mode: no call to the kernel but a look into a folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use drm::control::{Mode, ModeFlags, ModeTypeFlags};
use embedded_graphics::prelude::Size;

use crate::frame::MAX_SIDE;

/// One mode that a screen offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offer {
    /// Pixels of the panel.
    pub(super) size: Size,
    /// Pictures per second.
    pub(super) hertz: u32,
    /// The kernel's command line asks for it (`video=`).
    pub(super) ordered: bool,
    /// The screen's own choice.
    pub(super) preferred: bool,
    /// Half pictures, which flicker.
    pub(super) interlaced: bool,
}

impl From<&Mode> for Offer {
    fn from(mode: &Mode) -> Self {
        let (width, height) = mode.size();
        Self {
            size: Size::new(width.into(), height.into()),
            hertz: mode.vrefresh(),
            ordered: mode.mode_type().contains(ModeTypeFlags::USERDEF),
            preferred: mode.mode_type().contains(ModeTypeFlags::PREFERRED),
            interlaced: mode.flags().contains(ModeFlags::INTERLACE),
        }
    }
}

/// The index of the mode to use: of the size asked for, else what the kernel was told, what the screen
/// prefers, or the largest; of equals the fastest one that is not interlaced.
///
/// # Errors
/// When the screen does not offer that size, or nothing that a frame can hold; the text lists its sizes.
pub(super) fn mode(offers: &[Offer], asked: Option<Size>) -> Result<usize, String> {
    let fits = |size: Size| (1..=MAX_SIDE).contains(&size.width) && (1..=MAX_SIDE).contains(&size.height);
    offers
        .iter()
        .enumerate()
        .filter(|(_, offer)| fits(offer.size) && asked.is_none_or(|size| size == offer.size))
        .max_by_key(|(index, offer)| {
            let pixels = u64::from(offer.size.width) * u64::from(offer.size.height);
            // Of equals the first: the kernel sorts the better ones to the front.
            (
                offer.ordered,
                offer.preferred,
                pixels,
                !offer.interlaced,
                offer.hertz,
                usize::MAX - index,
            )
        })
        .map(|(index, _)| index)
        .ok_or_else(|| {
            let mut sizes: Vec<String> = offers
                .iter()
                .map(|o| format!("{}x{}", o.size.width, o.size.height))
                .collect();
            sizes.dedup();
            match asked {
                Some(size) => format!(
                    "the screen does not offer {}x{}, but {}",
                    size.width,
                    size.height,
                    sizes.join(", ")
                ),
                None => format!("the screen offers no usable size, but {}", sizes.join(", ")),
            }
        })
}

/// The cards in a folder, `card0` first; none when it is missing.
pub(super) fn cards(folder: &Path) -> Vec<PathBuf> {
    let number =
        |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.strip_prefix("card")?.parse().ok() };
    let mut cards: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| Some((number(&path)?, path)))
        .collect();
    cards.sort();
    cards.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn offer(width: u32, height: u32, hertz: u32) -> Offer {
        Offer {
            size: Size::new(width, height),
            hertz,
            ..Offer::default()
        }
    }

    #[test]
    fn the_order_is_asked_told_preferred_largest() {
        let preferred = Offer {
            preferred: true,
            ..offer(1920, 1080, 60)
        };
        let mut offers = vec![
            offer(800, 600, 75),
            preferred,
            offer(3840, 2160, 30),
            offer(1280, 720, 60),
        ];
        assert_eq!(mode(&offers, None), Ok(1));
        assert_eq!(mode(&offers, Some(Size::new(800, 600))), Ok(0));

        offers[3].ordered = true;
        assert_eq!(mode(&offers, None), Ok(3));

        offers[1].preferred = false;
        offers[3].ordered = false;
        assert_eq!(mode(&offers, None), Ok(2));
    }

    #[test]
    fn of_one_size_the_fastest_whole_pictures() {
        let interlaced = Offer {
            interlaced: true,
            ..offer(1920, 1080, 120)
        };
        let offers = [
            interlaced,
            offer(1920, 1080, 50),
            offer(1920, 1080, 60),
            offer(1920, 1080, 60),
        ];
        assert_eq!(mode(&offers, Some(Size::new(1920, 1080))), Ok(2));
    }

    #[test]
    fn a_size_that_is_not_offered_is_refused_with_those_that_are() {
        let error = mode(&[offer(800, 600, 60)], Some(Size::new(1, 2))).unwrap_err();
        assert!(error.contains("1x2") && error.contains("800x600"), "{error}");
        assert!(mode(&[offer(u32::from(u16::MAX), 10, 60)], None).is_err());
        assert!(mode(&[], None).is_err());
    }

    #[test]
    fn cards_come_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["card10", "card2", "renderD128", "controlD64", "card"] {
            fs::write(folder.path().join(name), []).unwrap();
        }
        let found = cards(folder.path());
        assert_eq!(found, [folder.path().join("card2"), folder.path().join("card10")]);
        assert!(cards(&folder.path().join("missing")).is_empty());
    }
}
