//! The bytes of a data set under the walk over it: in a file as they are, or behind a deflate stream.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use dicom_encoding::DataRWAdapter;

/// The bytes of the elements.
pub(super) trait Elements: BufRead {
    /// Goes over so many bytes, or as many as there are.
    fn skip(&mut self, count: u64) -> io::Result<u64>;
}

/// Elements that stand in a file as they are.
pub(super) struct Plain<R> {
    source: BufReader<R>,
    left: u64,
}

impl<R: Read + Seek> Plain<R> {
    /// From where `source` stands to its end, at most `limit` bytes.
    pub fn new(mut source: R, limit: u64) -> io::Result<Self> {
        let begin = source.stream_position()?;
        let end = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(begin))?;
        Ok(Self {
            source: BufReader::new(source),
            left: end.saturating_sub(begin).min(limit),
        })
    }
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Plain<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let there = self.source.fill_buf()?;
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        Ok(&there[..there.len().min(left)])
    }

    fn consume(&mut self, count: usize) {
        self.source.consume(count);
        self.left -= count as u64;
    }
}

impl<R: Read + Seek> Elements for Plain<R> {
    fn skip(&mut self, count: u64) -> io::Result<u64> {
        let count = count.min(self.left);
        self.source.seek_relative(count.cast_signed())?;
        self.left -= count;
        Ok(count)
    }
}

/// Elements behind a deflate stream.
pub(super) struct Inflated<'s>(BufReader<io::Take<Box<dyn Read + 's>>>);

impl<'s> Inflated<'s> {
    /// At most `limit` bytes of what comes out.
    pub fn new(source: impl Read + 's, codec: &dyn DataRWAdapter, limit: u64) -> Self {
        let source: Box<dyn Read + 's> = codec.adapt_reader(Box::new(source));
        Self(BufReader::new(source.take(limit)))
    }
}

impl Read for Inflated<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl BufRead for Inflated<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

impl Elements for Inflated<'_> {
    fn skip(&mut self, count: u64) -> io::Result<u64> {
        io::copy(&mut self.0.by_ref().take(count), &mut io::sink())
    }
}
