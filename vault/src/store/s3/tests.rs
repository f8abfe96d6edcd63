use std::time::{Duration, Instant};

use super::super::fake::{Asked, Fake, Reply};
use super::super::patient::PatientStore;
use super::*;
use crate::access::Limits;

const SECRET: &str = "canary-of-the-secret-key";

fn access(limits: Limits) -> Access {
    Access {
        login: Some(Login {
            user: "AKIAEXAMPLE".to_owned(),
            secret: SECRET.to_owned(),
        }),
        limits,
        ..Access::default()
    }
}

/// A store with a server that answers by the number of requests before.
fn store_with(
    limits: Limits,
    answers: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
) -> (Fake, PatientStore<S3Store>) {
    let fake = Fake::start(answers);
    let address = S3Address {
        endpoint: fake.url.clone(),
        bucket: "backups".to_owned(),
        prefix: "shop".to_owned(),
    };
    let store = S3Store::new(&address, &access(limits)).unwrap();
    // Long enough for a few failures.
    (
        fake,
        PatientStore::new(store, Some(Duration::from_secs(20))),
    )
}

fn store(
    answers: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
) -> (Fake, PatientStore<S3Store>) {
    store_with(Limits::default(), answers)
}

fn error(status: u16, code: &str) -> Reply {
    let xml = format!("<Error><Code>{code}</Code><Message>It is so.</Message></Error>");
    Reply::Whole(status, vec![], xml.into())
}

/// A pack and its name.
fn pack() -> (Id, Bytes) {
    let content = Bytes::from(vec![7; 100_000]);
    (
        id_of(&hash_of(std::slice::from_ref(&content))).unwrap(),
        content,
    )
}

#[test]
fn what_may_pass_is_tried_again() {
    let (id, content) = pack();
    let faults = [
        error(500, "InternalError"),
        error(503, "SlowDown"),
        error(400, "RequestTimeout"),
        Reply::Half(content.to_vec()),
        Reply::Stalled(content.to_vec()),
        Reply::Deaf,
        // Damaged on its way.
        Reply::ok("something else"),
    ];
    for fault in faults {
        let shown = format!("{fault:?}").chars().take(60).collect::<String>();
        let right = content.to_vec();
        let (fake, store) = store(move |before, _| match before {
            0 => fault.clone(),
            _ => Reply::ok(right.clone()),
        });
        let read = store.read(FileKind::Pack, &id, None);
        assert_eq!(read.as_ref(), Ok(&content), "{shown}");
        assert_eq!(fake.asked().len(), 2, "{shown}");
    }
}

#[test]
fn an_answer_is_not_asked_for_again() {
    let (id, content) = pack();
    let key = "shop/".to_owned() + &path_of(FileKind::Pack, &id);
    for (fault, is) in [
        (error(403, "AccessDenied"), "the store refuses: "),
        (
            error(400, "AuthorizationHeaderMalformed"),
            "the store refuses: ",
        ),
        (error(507, "Full"), "the store has no space left: "),
        (error(403, "QuotaExceeded"), "the store has no space left: "),
        (error(404, "NoSuchKey"), "missing in the store: "),
        (error(404, "NoSuchBucket"), "the store does not exist: "),
        (error(501, "NotImplemented"), "the store refuses: "),
    ] {
        let (fake, store) = store(move |_, _| fault.clone());
        let read = store.read(FileKind::Pack, &id, None).unwrap_err();
        assert!(read.to_string().starts_with(is), "{read}");
        let written = store.write(FileKind::Pack, &id, std::slice::from_ref(&content));
        assert!(written.unwrap_err().to_string().starts_with(is), "{is}");
        let asked = fake.asked();
        assert_eq!(asked.len(), 2, "{is}");
        assert_eq!(asked[0].line, format!("GET /backups/{key}"));
        assert_eq!(asked[1].content, content);
        assert_eq!(
            asked[1].header("x-amz-content-sha256"),
            id.to_hex().as_str()
        );
        let sent = format!("{asked:?} {store:?} {read}");
        assert!(!sent.contains(SECRET), "{sent}");
    }
}

#[test]
fn what_stays_wrong_is_damage() {
    let (id, _) = pack();
    let (fake, store) = store(|_, _| Reply::ok("something else"));
    let path = path_of(FileKind::Pack, &id);
    assert_eq!(
        store.read(FileKind::Pack, &id, None),
        Err(StoreError::Damaged(format!(
            "{path} is not what was written"
        )))
    );
    assert_eq!(fake.asked().len(), 2);
}

#[test]
fn a_server_that_does_not_read_is_given_up_and_tried_again() {
    let content = vec![Bytes::from(vec![7; 16 << 20])];
    let (fake, store) = store(|before, _| match before {
        0 => Reply::Deaf,
        _ => Reply::status(200),
    });
    store
        .write(FileKind::Config, &Id::default(), &content)
        .unwrap();
    assert_eq!(fake.asked().len(), 2);
}

#[test]
fn a_server_that_is_gone_is_unreachable_and_not_empty() {
    let (_, store) = store(|_, _| Reply::status(200));
    let gone = S3Address {
        // Nothing listens there: ports below 1024 are for root, and this one has no use.
        endpoint: "http://127.0.0.1:1".to_owned(),
        bucket: "backups".to_owned(),
        prefix: String::new(),
    };
    let gone = S3Store::new(&gone, &access(Limits::default())).unwrap();
    let gone = PatientStore::new(gone, Some(Duration::from_secs(1)));
    for err in [
        gone.contents().unwrap_err(),
        gone.list(FileKind::Pack).unwrap_err(),
        // A proxy that says something of its own.
        store.list(FileKind::Pack).unwrap_err(),
    ] {
        assert!(matches!(err, StoreError::Unreachable(_)), "{err}");
    }
}

#[test]
fn a_list_has_all_its_pages() {
    let ids: Vec<Id> = (0..5).map(|_| Id::random()).collect();
    let entry = |id: &Id| {
        let path = path_of(FileKind::Pack, id);
        format!("<Contents><Key>shop/{path}</Key><Size>9</Size></Contents>")
    };
    let page = |ids: &[Id], rest: &str| {
        let entries: String = ids.iter().map(entry).collect();
        format!("<ListBucketResult>{entries}{rest}</ListBucketResult>")
    };
    let more =
        "<IsTruncated>true</IsTruncated><NextContinuationToken>a+b/=</NextContinuationToken>";
    let other = "<Contents><Key>shop/data/ab/temporary</Key><Size>1</Size></Contents>";
    let pages = [page(&ids[..3], more), page(&ids[3..], other)];
    let (fake, whole) = store(move |before, _| Reply::ok(pages[before].clone()));
    let mut expected: Vec<_> = ids.iter().map(|id| (*id, 9)).collect();
    expected.sort_unstable();
    assert_eq!(whole.list(FileKind::Pack), Ok(expected));
    assert_eq!(
        fake.asked()[1].line,
        "GET /backups?continuation-token=a%2Bb%2F%3D&list-type=2&max-keys=1000&prefix=shop%2Fdata%2F"
    );
    // A part is never taken for all.
    let endless = page(&ids, "<IsTruncated>true</IsTruncated>");
    let (_, broken) = store(move |_, _| Reply::ok(endless.clone()));
    let listed = broken.list(FileKind::Pack);
    assert!(matches!(listed, Err(StoreError::Damaged(_))), "{listed:?}");
}

#[test]
fn only_an_empty_list_means_that_there_is_nothing() {
    let contents = |list: &'static str| {
        let (_, store) = store(move |before, _| match before {
            0 => error(404, "NoSuchKey"),
            _ => Reply::ok(format!("<ListBucketResult>{list}</ListBucketResult>")),
        });
        store.contents()
    };
    assert_eq!(contents(""), Ok(Contents::Nothing));
    let other = "<Contents><Key>shop/holiday.jpg</Key><Size>1</Size></Contents>";
    assert_eq!(contents(other), Ok(Contents::Other));
    let (_, repository) = store(|_, _| Reply::ok("{}"));
    assert_eq!(repository.contents(), Ok(Contents::Repository));
}

#[test]
fn a_wrong_clock_of_this_host_is_corrected() {
    let (id, content) = pack();
    let right = content.to_vec();
    let later = Timestamp::now()
        .checked_add(SignedDuration::from_hours(3))
        .unwrap();
    let date = later.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let (fake, store) = store(move |before, _| match before {
        0 => {
            let xml = "<Error><Code>RequestTimeTooSkewed</Code></Error>".into();
            Reply::Whole(403, vec![("date", date.clone())], xml)
        }
        _ => Reply::ok(right.clone()),
    });
    for _ in 0..2 {
        assert_eq!(store.read(FileKind::Pack, &id, None).as_ref(), Ok(&content));
    }
    let asked = fake.asked();
    assert_eq!(asked.len(), 3, "it is corrected once");
    for asked in &asked[1..] {
        let date = asked.header("x-amz-date");
        assert!(
            date.starts_with(&later.strftime("%Y%m%dT%H").to_string()),
            "{date} {later}"
        );
    }
}

#[test]
fn limits_hold_in_both_directions() {
    let (id, content) = pack();
    let right = content.to_vec();
    let took = |limits, act: &dyn Fn(&PatientStore<S3Store>)| {
        let right = right.clone();
        let (_, store) = store_with(limits, move |_, _| Reply::ok(right.clone()));
        let begin = Instant::now();
        act(&store);
        begin.elapsed()
    };
    let read = |store: &PatientStore<S3Store>| {
        assert_eq!(store.read(FileKind::Pack, &id, None).as_ref(), Ok(&content));
    };
    let write = |store: &PatientStore<S3Store>| {
        store
            .write(FileKind::Pack, &id, std::slice::from_ref(&content))
            .unwrap();
    };
    let upload = Limits {
        upload: Some(100_000),
        download: None,
    };
    let download = Limits {
        upload: None,
        download: Some(100_000),
    };
    // 100 KB of content; the last slice is not waited for.
    let limited = Duration::from_millis(900);
    assert!(took(upload, &write) >= limited);
    assert!(took(download, &read) >= limited);
}

#[test]
fn a_config_is_written_only_if_there_is_none() {
    let content = [Bytes::from_static(b"config")];
    // There is one; somebody writes it at this moment, and then there is one.
    for before in [vec![], vec![error(409, "ConditionalRequestConflict")]] {
        let (fake, store) = store(move |n, _| {
            let answer = before.get(n).cloned();
            answer.unwrap_or_else(|| error(412, "PreconditionFailed"))
        });
        assert_eq!(store.write_config(&content), Ok(false));
        for asked in fake.asked() {
            assert_eq!(asked.line, "PUT /backups/shop/config");
            assert_eq!(asked.header("if-none-match"), "*");
        }
    }
    // A server that knows no conditions.
    for there_is_one in [false, true] {
        let (fake, store) = store(move |_, asked| {
            let is_conditional = !asked.header("if-none-match").is_empty();
            match (asked.line.split(' ').next(), is_conditional, there_is_one) {
                (Some("PUT"), true, _) => error(501, "NotImplemented"),
                (Some("GET"), _, false) => error(404, "NoSuchKey"),
                _ => Reply::ok(""),
            }
        });
        assert_eq!(store.write_config(&content), Ok(!there_is_one));
        let asked = fake.asked();
        assert_eq!(asked.len(), if there_is_one { 2 } else { 3 }, "{asked:?}");
    }
}

#[test]
fn the_beginning_of_a_creation_is_known() {
    let id = Id::random().to_hex();
    let (key, pack) = (
        format!("keys/{}", id.as_str()),
        format!("data/00/{}", id.as_str()),
    );
    for (names, contents) in [
        (vec![], Contents::Nothing),
        (vec![key.as_str()], Contents::Unfinished),
        (vec![key.as_str(), pack.as_str()], Contents::Other),
        (vec!["keys/holiday.jpg"], Contents::Other),
    ] {
        let listed: Vec<String> = names
            .iter()
            .map(|name| format!("<Contents><Key>shop/{name}</Key></Contents>"))
            .collect();
        let page = format!("<ListBucketResult>{}</ListBucketResult>", listed.concat());
        let (_, store) = store(move |_, asked| {
            if asked.line.contains("/config") {
                error(404, "NoSuchKey")
            } else {
                Reply::ok(page.clone())
            }
        });
        assert_eq!(store.contents(), Ok(contents), "{names:?}");
    }
}
