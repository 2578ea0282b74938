//! The readers of weight files, fed with damaged files: they give an error or weights, never a panic, and take no
//! more memory than the file is worth.
//!
//! Every file is one of the fixtures with bytes flipped, cut, moved, or numbers set to extremes; in zips also the
//! pickle by itself, so that what holds it stays whole. `PATCHLIGHT_FUZZ_SECONDS` makes it longer.

#![allow(clippy::print_stdout, reason = "shown with --nocapture")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use patchlight::weights;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Counts the memory in use and its largest amount.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code)]
// SAFETY: everything is handed to the system's allocator; counting does not touch what it gives.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Memory that reading may take: tensors are up to eight times their bytes, and a pickle's objects some fifty
/// times theirs.
fn allowed(file: usize) -> usize {
    80 * file + (8 << 20)
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ibot")
}

/// Files to start from.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let root = fixtures();
    let mut seeds = Vec::new();
    for name in [
        "checkpoint/checkpoint.pth",
        "checkpoint/backbone_teacher.pth",
        "checkpoint/backbone_teacher_legacy.pth",
        "swin_forward/odd/weights.safetensors",
    ] {
        let bytes = std::fs::read(root.join(name)).expect(name);
        seeds.push((name.to_owned(), bytes));
    }
    seeds
}

/// The entries of a zip.
fn unzipped(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("a zip");
    (0..archive.len())
        .map(|i| {
            let mut entry = archive.by_index(i).expect("an entry");
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("its bytes");
            (entry.name().expect("a name").into_owned(), bytes)
        })
        .collect()
}

fn zipped(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in entries {
        writer.start_file(name.as_str(), options).expect("an entry");
        writer.write_all(bytes).expect("its bytes");
    }
    writer.finish().expect("a zip").into_inner()
}

/// Damages `bytes` in one to eight places.
fn damage(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(1..=8) {
        if bytes.is_empty() {
            return;
        }
        // Half of the damage goes to the front, where headers and pickles are.
        let end = match rng.random::<bool>() {
            true => bytes.len().min(4096),
            false => bytes.len(),
        };
        let at = rng.random_range(0..end);
        match rng.random_range(0..8) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => _ = bytes.remove(at),
            4 => bytes.insert(at, rng.random()),
            5 => {
                let length = rng.random_range(1..64).min(bytes.len() - at);
                let part = bytes[at..at + length].to_vec();
                let to = rng.random_range(0..bytes.len());
                bytes.splice(to..to, part);
            }
            6 => {
                let extreme = [
                    0u64,
                    1,
                    0x7f,
                    0xff,
                    u64::MAX,
                    i64::MAX as u64,
                    1 << 31,
                    1 << 40,
                ];
                let value = extreme[rng.random_range(0..extreme.len())].to_le_bytes();
                let length = [1, 2, 4, 8][rng.random_range(0..4)].min(bytes.len() - at);
                bytes[at..at + length].copy_from_slice(&value[..length]);
            }
            _ => {
                // A digit of a header in text.
                let digit = (at..bytes.len().min(at + 512)).find(|&i| bytes[i].is_ascii_digit());
                if let Some(i) = digit {
                    bytes[i] = b'0' + rng.random_range(0..10);
                }
            }
        }
    }
}

fn damaged_one(seeds: &[(String, Vec<u8>)], rng: &mut ChaCha8Rng) -> (String, Vec<u8>) {
    let (name, bytes) = &seeds[rng.random_range(0..seeds.len())];
    let is_zip = bytes.starts_with(b"PK");
    if is_zip && rng.random::<f64>() < 0.7 {
        let mut entries = unzipped(bytes);
        let pickle = entries
            .iter()
            .position(|(name, _)| name.ends_with("data.pkl"));
        damage(&mut entries[pickle.expect("a pickle")].1, rng);
        if rng.random::<f64>() < 0.2 {
            let one = rng.random_range(0..entries.len());
            damage(&mut entries[one].1, rng);
        }
        return (name.clone(), zipped(&entries));
    }
    let mut bytes = bytes.clone();
    damage(&mut bytes, rng);
    (name.clone(), bytes)
}

/// Memory is counted for all threads together, so one test reads at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Reads a file as a whole program would; gives what was wrong with it, if reading went as it should.
fn read(path: &Path, bytes: &[u8]) -> Result<bool, String> {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    std::fs::write(path, bytes).expect("a file");
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let begin = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| weights::read(path, Some(2)).is_ok()));
    let took = begin.elapsed();
    let most = MOST.load(Ordering::Relaxed).saturating_sub(before);
    match outcome {
        Err(_) => Err("a panic".into()),
        Ok(_) if most > allowed(bytes.len()) => Err(format!(
            "{most} bytes of memory for a file of {}",
            bytes.len()
        )),
        Ok(_) if took > Duration::from_secs(5) => Err(format!("{took:?}")),
        Ok(read) => Ok(read),
    }
}

#[test]
fn damaged_files_are_errors() {
    let seconds = std::env::var("PATCHLIGHT_FUZZ_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(5);
    let seeds = seeds();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("weights");
    for (name, bytes) in &seeds {
        assert_eq!(read(&path, bytes), Ok(true), "{name} as it is");
    }
    let begin = Instant::now();
    let (mut files, mut readable) = (0u64, 0u64);
    while begin.elapsed() < Duration::from_secs(seconds) {
        // Every file is made of its number, so a number is enough to make it again.
        let mut rng = ChaCha8Rng::seed_from_u64(files);
        let (name, bytes) = damaged_one(&seeds, &mut rng);
        match read(&path, &bytes) {
            Ok(read) => readable += u64::from(read),
            Err(what) => panic!("file {files}, made of {name}: {what}"),
        }
        files += 1;
    }
    println!("{files} damaged files, {readable} of them still readable");
    assert!(files > 100, "{files} files only");
}

/// Files that were made to do harm.
#[test]
fn hostile_files_are_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("weights");
    let entry = |bytes: &[u8]| zipped(&[("archive/data.pkl".to_owned(), bytes.to_vec())]);
    let error = |bytes: &[u8]| -> String {
        assert_eq!(read(&path, bytes), Ok(false));
        let error = weights::read(&path, None).expect_err("an error");
        format!("{error:#}")
    };
    // A call of the shell: recorded, not made; there is no tensor in it.
    let marker = folder.path().join("touched");
    let shell = format!("cos\nsystem\n(S'touch {}'\ntR.", marker.display());
    assert!(error(&entry(shell.as_bytes())).contains("no tensor"));
    assert!(!marker.exists());
    // A dictionary that holds itself, and lists of lists: a billion laughs.
    let itself = b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.";
    assert!(error(&entry(itself)).contains("more objects"));
    let mut laughs = b"\x80\x02]".to_vec();
    for level in 0..12u8 {
        laughs.extend([b'q', level, b'0', b']', b'(']);
        laughs.extend([b'h', level].repeat(20));
        laughs.push(b'e');
    }
    laughs.push(b'.');
    assert!(error(&entry(&laughs)).contains("more objects"));
    // A tensor of 2^40 numbers in a storage of four, and one of stride 0.
    for (shape, stride, part) in [
        ("(L1099511627776L\ntp0\n", "(I1\nt", "larger than its file"),
        ("(I8\nt", "(I1\nt", "holds 4 numbers"),
        (
            "(L9223372036854775807L\nI4\nt",
            "(I0\nI0\nt",
            "larger than its file",
        ),
        ("(I-4\nt", "(I1\nt", "no list of sizes"),
    ] {
        let pickle = format!(
            "(dS'patch_embed.proj.weight'\nctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\n\
             S'0'\nS'cpu'\nI4\ntQI0\n{shape}{stride}I00\nNtRs."
        );
        let file = zipped(&[
            ("archive/data.pkl".to_owned(), pickle.into_bytes()),
            ("archive/data/0".to_owned(), vec![0; 16]),
        ]);
        let error = error(&file);
        assert!(
            error.contains(part) && error.contains("patch_embed"),
            "{error}"
        );
    }
    // Claims of a length that is not there.
    for bytes in [
        &b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02}.\x80\x02]X\xff\xff\xff\xff"[..],
        b"\xff\xff\xff\xff\xff\xff\xff\x7f{\"a\":1}",
        b"PK\x03\x04",
        b"\x80\x02",
        b"",
    ] {
        error(bytes);
    }
}
