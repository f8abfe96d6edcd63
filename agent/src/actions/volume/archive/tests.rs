use super::*;

/// An entry as Go writes it, with numbers as octal digits.
fn entry(name: &str, kind: u8, uid: u32, gid: u32, mode: u32, body: &[u8]) -> Vec<u8> {
    let mut block = vec![0_u8; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
    block[108..115].copy_from_slice(format!("{uid:07o}").as_bytes());
    block[116..123].copy_from_slice(format!("{gid:07o}").as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
    block[136..147].copy_from_slice(format!("{:011o}", 1_700_000_000).as_bytes());
    block[156] = kind;
    block.extend(body);
    block.resize(block.len().next_multiple_of(BLOCK), 0);
    block
}

fn folder(uid: u32, gid: u32, mode: u32) -> Found {
    Found {
        folder: TopFolder {
            uid,
            gid,
            mode,
            has_files: false,
        },
        modified: 1_700_000_000,
    }
}

/// The beginning of every archive, of a container whose root is this user of the host.
fn container(root: u32) -> Vec<u8> {
    let mut all = entry("", b'5', root, root, 0o40755, b"");
    all.extend(entry("/.dockerenv", b'0', root, root, 0o755, b"text"));
    all
}

fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}

#[test]
fn owner_permissions_and_emptiness_are_read_and_nothing_after_them() {
    let mut empty = container(0);
    empty.extend(entry("/data", b'5', 1000, 2000, 0o42750, b""));
    assert_eq!(read(&empty), Reading::Unfinished);
    let expected = folder(1000, 2000, 0o2750);
    for next in [entry("/dev", b'5', 0, 0, 0o755, b""), end()] {
        let archive = [empty.clone(), next].concat();
        assert_eq!(read(&archive), Reading::Found(expected));
    }
    // A neighbour whose name begins in the same way is not in the folder.
    let beside = [empty.clone(), entry("/data2", b'5', 0, 0, 0o755, b"")].concat();
    assert_eq!(read(&beside), Reading::Found(expected));
    // The size of a file does not matter: its content is never read.
    let mut file = entry("/data/big", b'0', 0, 0, 0o644, b"");
    file[124..135].copy_from_slice(b"77777777777");
    let full = [empty.clone(), file].concat();
    let mut has_files = expected;
    has_files.folder.has_files = true;
    assert_eq!(read(&full), Reading::Found(has_files));
    // A long name comes with a header of its own.
    let long = entry(
        "/data/PaxHeaders.0/x",
        b'x',
        0,
        0,
        0,
        b"20 path=/data/\xc3\xa4\xc3\xa4\n",
    );
    let name = entry("/data/", b'0', 0, 0, 0o644, b"");
    assert_eq!(
        read(&[empty, long, name].concat()),
        Reading::Found(has_files)
    );
}

#[test]
fn every_beginning_of_an_archive_is_unfinished() {
    let whole = [container(0), entry("/data", b'5', 1, 2, 0o700, b""), end()].concat();
    let needed = whole.len() - BLOCK;
    for length in 0..needed {
        assert_eq!(read(&whole[..length]), Reading::Unfinished, "{length}");
    }
    assert_eq!(read(&whole[..needed]), Reading::Found(folder(1, 2, 0o700)));
}

#[test]
fn ids_of_a_remapped_host_are_those_that_containers_see() {
    let mut archive = container(300_000);
    archive.extend(entry("/data", b'5', 301_000, 300_000, 0o700, b""));
    archive.extend(end());
    assert_eq!(read(&archive), Reading::Found(folder(1000, 0, 0o700)));
    // root of the host is nobody in a container.
    let mut archive = container(300_000);
    archive.extend(entry("/data", b'5', 0, 0, 0o700, b""));
    archive.extend(end());
    assert_eq!(
        read(&archive),
        Reading::Found(folder(NOBODY, NOBODY, 0o700))
    );
}

#[test]
fn large_ids_are_read_from_extended_headers_and_from_bytes() {
    let records = b"18 uid=4294967294\n15 gid=3000000\n";
    let mut archive = container(0);
    archive.extend(entry("/PaxHeaders.0/data", b'x', 0, 0, 0, records));
    archive.extend(entry("/data", b'5', 0, 0, 0o700, b""));
    archive.extend(end());
    let expected = folder(4_294_967_294, 3_000_000, 0o700);
    assert_eq!(read(&archive), Reading::Found(expected));
    // What is written is read as it was.
    for found in [
        expected,
        folder(0, 2_097_152, 0o1777),
        folder(2_097_151, 7, 0),
    ] {
        let archive = [container(0), write(&found)].concat();
        assert_eq!(read(&archive), Reading::Found(found));
    }
}

#[test]
fn what_is_written_has_the_checksum_of_an_archive() {
    let archive = write(&folder(1000, 3_000_000, 0o2750));
    assert_eq!(archive.len(), 3 * BLOCK);
    let stated = number(&archive[148..156]).unwrap();
    let mut header = archive[..BLOCK].to_vec();
    header[148..156].fill(b' ');
    assert_eq!(stated, header.iter().copied().map(u64::from).sum::<u64>());
    assert!(archive.starts_with(b"data/\0"));
}

#[test]
fn what_is_no_archive_with_the_folder_is_told_from_one_that_is_not_whole() {
    assert_eq!(read(&[container(0), end()].concat()), Reading::Absent);
    assert_eq!(read(&[b'?'; BLOCK]), Reading::Absent);
    assert_eq!(read(&end()), Reading::Absent);
}
