//! Packed charts: the files of a `.tgz`.
//!
//! What is in an archive is not trusted: paths that leave the chart, links, and more than the bounds allow are refused.
//! Nothing is written anywhere.

use crate::chart::File;
use flate2::bufread::MultiGzDecoder;
use std::io::{Cursor, Read};
use std::sync::Arc;
use tar::{Archive, Entry, EntryType};

/// How much a chart may hold, the charts within it included.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of all files, unpacked.
    pub bytes: u64,
    /// How many files.
    pub files: usize,
    /// How deep charts may lie in one another.
    pub depth: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes: 100 << 20, files: 20_000, depth: 32 }
    }
}

/// What is left of the bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) bounds: Bounds,
    bytes: u64,
    files: usize,
}

/// Why an archive was refused: a sentence.
pub(crate) type Refusal = String;

impl Room {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, bytes: bounds.bytes, files: bounds.files }
    }

    /// Takes a file of that size.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.files = self
            .files
            .checked_sub(1)
            .ok_or_else(|| format!("the chart has more than {} files", self.bounds.files))?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| self.too_large())?;
        Ok(())
    }

    fn too_large(&self) -> Refusal {
        format!("decompressed chart is larger than the maximum size {}", self.bounds.bytes)
    }
}

/// Archives that are not larger than this are unpacked as a whole before their files are looked at, which is faster.
const AT_ONCE: usize = 16 << 20;

/// The files of an archive, without the folder that holds them all.
pub(crate) fn unpack(packed: &[u8], room: &mut Room) -> Result<Vec<File>, Refusal> {
    // Headers, padding and what is skipped count too: an archive of nothing but headers ends as well.
    let allowed = room.bytes.saturating_mul(2).saturating_add(4096 * room.bounds.files as u64);
    if let Some(whole) = decompressed(packed, allowed.min(AT_ONCE as u64)) {
        let mut archive = Archive::new(Cursor::new(&whole[..]));
        let entries = archive.entries_with_seek().map_err(|error| unreadable(&error))?;
        return files(entries, room, Content::Of(&whole));
    }
    let mut archive = Archive::new(MultiGzDecoder::new(packed).take(allowed));
    files(archive.entries().map_err(|error| unreadable(&error))?, room, Content::Streamed)
}

/// Where what is in files comes from.
#[derive(Clone, Copy)]
enum Content<'w> {
    /// This is the whole archive.
    Of(&'w [u8]),
    /// It is read as it comes.
    Streamed,
}

impl Content<'_> {
    fn read(self, entry: &mut Entry<'_, impl Read>) -> std::io::Result<Arc<[u8]>> {
        // What is sparse does not stand in the archive as it is.
        if let (Self::Of(whole), false) = (self, entry.header().entry_type() == EntryType::GNUSparse) {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let (start, size) = (place(entry.raw_file_position()), place(entry.size()));
            let end = start.saturating_add(size);
            let padded = end.checked_next_multiple_of(BLOCK).is_some_and(|end| end <= whole.len());
            let data = whole.get(start..end).filter(|_| padded);
            return data.map(without_mark).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut data = Vec::new();
        entry.read_to_end(&mut data)?;
        Ok(without_mark(&data))
    }
}

/// Files in an archive begin at multiples of this.
const BLOCK: usize = 512;

fn without_mark(data: &[u8]) -> Arc<[u8]> {
    data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data).into()
}

fn unreadable(error: &std::io::Error) -> Refusal {
    format!("no archive of a chart: {error}")
}

/// All that is packed, if that is less than `most` and can be read to its end.
fn decompressed(packed: &[u8], most: u64) -> Option<Vec<u8>> {
    // The last four bytes tell the size, of the last part at least.
    let told = packed.last_chunk().map_or(0, |size| u32::from_le_bytes(*size));
    let mut whole = Vec::with_capacity(usize::try_from(u64::from(told).min(most)).unwrap_or_default());
    let read = MultiGzDecoder::new(packed).take(most).read_to_end(&mut whole).ok()?;
    ((read as u64) < most).then_some(whole)
}

/// The files among entries.
fn files<'a, R: Read + 'a>(
    entries: impl Iterator<Item = std::io::Result<Entry<'a, R>>>,
    room: &mut Room,
    content: Content<'_>,
) -> Result<Vec<File>, Refusal> {
    let mut files = Vec::new();
    for entry in entries {
        let mut entry = entry.map_err(|error| unreadable(&error))?;
        let name = String::from_utf8(entry.path_bytes().into_owned())
            .map_err(|_| "a path in the archive is no UTF-8".to_owned())?;
        match entry.header().entry_type() {
            EntryType::Directory | EntryType::XGlobalHeader | EntryType::XHeader => continue,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse if name.ends_with('/') => {
                continue;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {}
            EntryType::Symlink | EntryType::Link => {
                return Err(format!("{name}: is a link, which an archive of a chart must not have"));
            }
            _ => return Err(format!("{name}: is no regular file")),
        }
        let path = inner_path(&name)?;
        room.take(entry.size())?;
        let data = content.read(&mut entry).map_err(|error| unreadable(&error))?;
        files.push(File { name: path, data });
    }
    if files.is_empty() {
        return Err("no files in chart archive".into());
    }
    Ok(files)
}

/// The path below the archive's folder, cleaned.
fn inner_path(name: &str) -> Result<String, Refusal> {
    let name = if name.contains('\\') { name.replace('\\', "/") } else { name.to_owned() };
    if name == "Chart.yaml" {
        return Err("chart yaml not in base directory".into());
    }
    let outside = || format!("chart illegally contains content outside the base directory: {name:?}");
    let (_, inner) = name.split_once('/').ok_or_else(outside)?;
    if inner.starts_with('/') {
        return Err("chart illegally contains absolute paths".into());
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in inner.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or("chart illegally references parent directory")?;
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    let mut start = path.bytes();
    let drive = start.next().is_some_and(|letter| letter.is_ascii_alphabetic())
        && start.next() == Some(b':')
        && start.next() == Some(b'/');
    if drive {
        return Err("chart contains illegally named files".into());
    }
    if path.is_empty() { Err(outside()) } else { Ok(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_within_the_chart() {
        assert_eq!(inner_path("web/templates/./a.yaml").unwrap(), "templates/a.yaml");
        assert_eq!(inner_path("web\\templates\\a.yaml").unwrap(), "templates/a.yaml");
        for path in ["web/../../etc/passwd", "web//etc/passwd", "file", "web/", "Chart.yaml", "web/c:/x"] {
            assert!(inner_path(path).is_err(), "{path}");
        }
    }
}
