//! Where something stands in a text, as a person counts: lines and columns from 1.

use std::ops::Range;

/// Turns byte offsets into lines and columns.
pub struct Places<'a> {
    text: &'a str,
}

// === impl Places ===

impl<'a> Places<'a> {
    pub fn of(text: &'a str) -> Self {
        Self { text }
    }

    /// Line and column of a byte offset; past the end it is the end.
    pub fn at(&self, offset: usize) -> (u32, u32) {
        let before = &self.text[..self.boundary(offset)];
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        let column = before[start..].chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// Bytes of the line that holds the offset, without its line end.
    pub fn line_of(&self, offset: usize) -> Range<usize> {
        let offset = self.boundary(offset);
        let start = self.text[..offset].rfind('\n').map_or(0, |i| i + 1);
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |i| offset + i);
        let line = self.text[start..end].trim_end_matches('\r');
        start..start + line.len().max(offset.min(end) - start)
    }

    /// The line that holds `span`, with `span` replaced; `None` where it spans lines.
    pub fn mended(&self, span: Range<usize>, by: &str) -> Option<String> {
        let inside = self.text.get(span.clone())?;
        if inside.contains('\n') {
            return None;
        }
        let line = self.line_of(span.start);
        let before = self.text.get(line.start..span.start)?;
        let after = self.text.get(span.end..line.end.max(span.end))?;
        Some(format!("{before}{by}{}", after.trim_end_matches('\r')))
    }

    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let places = Places::of("a = 1\n\"é\" = 2\n");
        assert_eq!(places.at(0), (1, 1));
        assert_eq!(places.at(6), (2, 1));
        assert_eq!(places.at("a = 1\n\"é\"".len()), (2, 4));
        assert_eq!(places.at(10_000), (3, 1));
    }

    #[test]
    fn a_line_is_mended_in_place() {
        let text = "x = 1\r\nmax = 3 # my limit\r\n";
        let at = text.find('3').unwrap();
        assert_eq!(
            Places::of(text).mended(at..at + 1, "64").as_deref(),
            Some("max = 64 # my limit")
        );
        assert_eq!(Places::of(text).mended(0..10, "64"), None);
    }
}
