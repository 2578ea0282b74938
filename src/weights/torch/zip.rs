//! The directory of a zip, read entry by entry as far as the file really goes.
//!
//! No number in it is believed, and nothing is set aside for entries that it only claims. Check sums are not looked
//! at, as PyTorch can be told to write none.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::TorchError;

const END: &[u8] = b"PK\x05\x06";
const END_LEN: u64 = 22;
const END_64_LOCATOR: &[u8] = b"PK\x06\x07";
const END_64: &[u8] = b"PK\x06\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const HEADER: &[u8] = b"PK\x03\x04";

/// A file in a zip.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    /// Where its header begins; see [`data_start`].
    header: u64,
    /// Bytes.
    pub size: u64,
    /// Whether its bytes stand in the zip as they are.
    pub is_stored: bool,
}

impl Entry {
    /// Its first byte.
    ///
    /// # Errors
    /// A header that is not where the directory says.
    pub fn start(&self, file: &mut File) -> Result<u64, TorchError> {
        data_start(file, self.header)
    }
}

/// Where the data after an entry's own header begins.
fn data_start(file: &mut File, header: u64) -> Result<u64, TorchError> {
    let bytes = exactly::<30>(file, header)?;
    if !bytes.starts_with(HEADER) {
        return Err(damaged("an entry is not where its directory says"));
    }
    let len = 30 + u64::from(u16_at(&bytes, 26)) + u64::from(u16_at(&bytes, 28));
    header.checked_add(len).ok_or_else(cut_short)
}

/// The files in the zip `file` of `len` bytes.
///
/// # Errors
/// A directory that is missing, damaged, or names a file twice.
pub fn entries(file: &mut File, len: u64) -> Result<Vec<Entry>, TorchError> {
    let (start, size) = directory_place(file, len)?;
    file.seek(SeekFrom::Start(start))?;
    let mut reader = BufReader::new(file.take(size));
    let mut entries = Vec::new();
    let mut names = HashSet::new();
    let mut left = size;
    while left > 0 {
        let (entry, read) = entry(&mut reader)?;
        left = left.saturating_sub(read);
        if !names.insert(entry.name.clone()) {
            return Err(damaged("two entries of its directory have the same name"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// First byte and length of the directory.
fn directory_place(file: &mut File, len: u64) -> Result<(u64, u64), TorchError> {
    let tail_start = len.saturating_sub(END_LEN + u64::from(u16::MAX));
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(tail_start))?;
    file.by_ref()
        .take(len - tail_start)
        .read_to_end(&mut tail)?;
    // The end record is the last whose comment reaches just to the end of the file.
    let is_end = |at: &usize| {
        let record = tail.get(*at..).unwrap_or_default();
        record.starts_with(END) && record.len() as u64 == END_LEN + u64::from(u16_at(record, 20))
    };
    let Some(at) = (0..tail.len()).rev().find(is_end) else {
        return Err(damaged(
            "its directory is missing, so the file is cut short",
        ));
    };
    let record = tail.get(at..).unwrap_or_default();
    let end = tail_start + at as u64;
    let (mut size, mut start) = (u32_at(record, 12).into(), u32_at(record, 16).into());
    let mut limit = end;
    if let Some(locator) = end.checked_sub(20) {
        let locator = exactly::<20>(file, locator)?;
        if locator.starts_with(END_64_LOCATOR) {
            limit = u64_at(&locator, 8);
            let record = exactly::<56>(file, limit)?;
            if !record.starts_with(END_64) {
                return Err(damaged("the end of its directory is not where it says"));
            }
            (size, start) = (u64_at(&record, 40), u64_at(&record, 48));
        }
    }
    match start.checked_add(size) {
        Some(to) if to <= limit.min(len) => Ok((start, size)),
        _ => Err(damaged("its directory lies outside of it")),
    }
}

/// The next entry of the directory, and the bytes that it takes there.
fn entry(reader: &mut impl Read) -> Result<(Entry, u64), TorchError> {
    let mut bytes = [0; 46];
    fill(reader, &mut bytes)?;
    if !bytes.starts_with(ENTRY) {
        return Err(damaged("its directory holds something that is no entry"));
    }
    let [name_len, extra_len, comment_len] = [28, 30, 32].map(|at| u16_at(&bytes, at));
    let mut name = vec![0; name_len.into()];
    fill(reader, &mut name)?;
    let mut extra = vec![0; extra_len.into()];
    fill(reader, &mut extra)?;
    fill(reader, &mut vec![0; comment_len.into()])?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let is_encrypted = u16_at(&bytes, 8) & 1 != 0;
    let [stored, size, header] = sizes(&bytes, &extra)?;
    let entry = Entry {
        name,
        header,
        size,
        is_stored: u16_at(&bytes, 10) == 0 && !is_encrypted && stored == size,
    };
    let read = 46 + u64::from(name_len) + u64::from(extra_len) + u64::from(comment_len);
    Ok((entry, read))
}

/// Bytes in the file, bytes of the part, and place of its header; an extra field holds what needs 64 bits.
fn sizes(entry: &[u8], extra: &[u8]) -> Result<[u64; 3], TorchError> {
    let [stored, size, header] = [20, 24, 42].map(|at| u32_at(entry, at));
    let mut wide = field_64(extra).unwrap_or_default();
    let mut take = |narrow: u32| -> Result<u64, TorchError> {
        if narrow != u32::MAX {
            return Ok(narrow.into());
        }
        let (first, rest) = wide
            .split_first_chunk()
            .ok_or_else(|| damaged("an entry of its directory lacks its length"))?;
        wide = rest;
        Ok(u64::from_le_bytes(*first))
    };
    // In the extra field the length of the part comes first.
    let size = take(size)?;
    Ok([take(stored)?, size, take(header)?])
}

fn field_64(mut extra: &[u8]) -> Option<&[u8]> {
    loop {
        let (head, rest) = extra.split_at_checked(4)?;
        let (field, rest) = rest.split_at_checked(u16_at(head, 2).into())?;
        if u16_at(head, 0) == 1 {
            return Some(field);
        }
        extra = rest;
    }
}

fn exactly<const N: usize>(file: &mut File, at: u64) -> Result<[u8; N], TorchError> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at)).map_err(|_| cut_short())?;
    fill(file, &mut bytes)?;
    Ok(bytes)
}

fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), TorchError> {
    match reader.read_exact(bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(cut_short()),
        other => Ok(other?),
    }
}

fn damaged(what: &str) -> TorchError {
    TorchError::Container(what.to_owned())
}

fn cut_short() -> TorchError {
    damaged("it is cut short")
}

fn little_endian<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk);
    found.copied().unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(little_endian(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(little_endian(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(little_endian(bytes, at))
}
