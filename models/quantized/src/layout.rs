//! How an image lies in memory.

/// Elements behind the last pixel that kernels may read, and whose values do not matter.
pub const SLACK: usize = 64;

/// An image larger than this is refused, elements.
pub const MAX_ELEMENTS: usize = 1 << 24;

/// (row, column, channel), row-major, with a border of pixels on all four sides, so that a window that
/// reaches over the edge reads on without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Rows without the border.
    pub rows: usize,
    /// Columns without the border.
    pub columns: usize,
    /// Channels of each pixel.
    pub channels: usize,
    /// Width of the border, pixels.
    pub border: usize,
}

impl Layout {
    /// Elements, border included, slack not; none for an image that is empty or too large.
    pub fn checked_elements(&self) -> Option<usize> {
        let border = self.border.checked_mul(2)?;
        let rows = self.rows.checked_add(border)?;
        let columns = self.columns.checked_add(border)?;
        let len = rows.checked_mul(columns)?.checked_mul(self.channels)?;
        let inside = self.rows > 0 && self.columns > 0 && self.channels > 0;
        (inside && len <= MAX_ELEMENTS).then_some(len)
    }

    /// Elements, border included; what [`Self::checked_elements`] accepted.
    pub fn elements(&self) -> usize {
        (self.rows + 2 * self.border) * self.pitch()
    }

    /// Elements from one row to the next.
    pub fn pitch(&self) -> usize {
        (self.columns + 2 * self.border) * self.channels
    }

    /// Elements of a row without its border.
    pub fn width(&self) -> usize {
        self.columns * self.channels
    }

    /// Where a pixel begins.
    pub fn at(&self, row: usize, column: usize) -> usize {
        (row + self.border) * self.pitch() + (column + self.border) * self.channels
    }

    /// Where the pixels of a row lie.
    pub fn row(&self, row: usize) -> std::ops::Range<usize> {
        let start = self.at(row, 0);
        start..start + self.width()
    }

    /// Gives every pixel of the border one value.
    pub fn fill_border<T: Copy>(&self, image: &mut [T], value: T) {
        if self.border == 0 {
            return;
        }
        let (pitch, side) = (self.pitch(), self.border * self.channels);
        let edge = self.border * pitch;
        image[..edge + side].fill(value);
        for row in 0..self.rows - 1 {
            let end = self.row(row).end;
            image[end..end + 2 * side].fill(value);
        }
        let end = self.row(self.rows - 1).end;
        image[end..self.elements()].fill(value);
    }
}
