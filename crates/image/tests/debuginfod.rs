//! The debuginfod client against a server of the test's own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hotproof_image::{DebugPlaces, DebugSearch, Debuginfod, DebuginfodError, ImageFile};

/// Answers by path until the test ends; counts what it was asked.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
}

/// Status line and body.
type Answer = (&'static str, Vec<u8>);

fn serve(answers: BTreeMap<String, Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // The thread ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = answer(stream.unwrap(), &answers);
        }
    });
    Server { url, asked }
}

fn answer(mut stream: TcpStream, answers: &BTreeMap<String, Answer>) -> std::io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    request.read_line(&mut first)?;
    let mut line = String::new();
    while request.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = first.split_whitespace().nth(1).unwrap_or_default();
    let missing = ("404 Not Found", Vec::new());
    let (status, body) = answers.get(path).unwrap_or(&missing);
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

/// A stripped program and its debug file.
fn program(folder: &Path, flags: &str) -> (ImageFile, Vec<u8>) {
    let run = |line: &str| {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        let status = command.args(words).current_dir(folder).status();
        assert!(status.unwrap().success(), "{line}");
    };
    std::fs::write(folder.join("main.c"), "int main(void) { return 0; }\n").unwrap();
    run(&format!("gcc -g {flags} -Wl,--build-id main.c -o program"));
    run("objcopy --only-keep-debug program program.debug");
    run("strip program");
    let debug = std::fs::read(folder.join("program.debug")).unwrap();
    std::fs::remove_file(folder.join("program.debug")).unwrap();
    (ImageFile::open(&folder.join("program")).unwrap(), debug)
}

fn client(urls: &str, cache: &Path, largest_bytes: &str) -> Debuginfod {
    trusting(urls, cache, largest_bytes, None)
}

/// A client for which certificates signed by those of a file count, and no others.
fn trusting(urls: &str, cache: &Path, largest_bytes: &str, trusted: Option<&Path>) -> Debuginfod {
    let cache = cache.to_str().unwrap().to_owned();
    let client = Debuginfod::from_variables(|name| match name {
        "DEBUGINFOD_URLS" => Some(urls.to_owned()),
        "DEBUGINFOD_CACHE_PATH" => Some(cache.clone()),
        "DEBUGINFOD_MAXSIZE" => Some(largest_bytes.to_owned()),
        "DEBUGINFOD_TIMEOUT" => Some("20".to_owned()),
        "SSL_CERT_FILE" => trusted.map(|path| path.to_str().unwrap().to_owned()),
        _ => None,
    });
    client.unwrap()
}

fn path_of(image: &ImageFile) -> String {
    let id: String = image
        .build_id()
        .unwrap()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("/buildid/{id}/debuginfo")
}

#[test]
fn a_debug_file_is_fetched_once_and_kept_where_others_find_it() {
    let folder = tempfile::tempdir().unwrap();
    let (image, debug) = program(folder.path(), "");
    let server = serve(BTreeMap::from([(
        path_of(&image),
        ("200 OK", debug.clone()),
    )]));
    let cache = folder.path().join("cache");
    let id = image.build_id().unwrap();
    let first = client(&server.url, &cache, "").fetch(id).unwrap().unwrap();
    assert_eq!(first.data(), debug);
    assert!(first.has_section(".debug_info"));
    let hex = path_of(&image).split('/').nth(2).unwrap().to_owned();
    assert_eq!(first.path(), cache.join(hex).join("debuginfo"));
    let again = client(&server.url, &cache, "").fetch(id).unwrap().unwrap();
    assert_eq!(again.data(), debug);
    assert_eq!(
        server.asked.load(Ordering::SeqCst),
        1,
        "the second came from the cache"
    );

    // The search asks only where it is told to, and only when nothing else was found.
    let places = |debuginfod| DebugPlaces {
        root: "/nowhere".into(),
        debuginfod,
        ..DebugPlaces::default()
    };
    let without = places(None).find(&image);
    assert!(
        matches!(without, DebugSearch::NotFound { .. }),
        "{without:?}"
    );
    let client = Arc::new(client(&server.url, &cache, ""));
    let with = places(Some(client)).find(&image);
    assert!(matches!(with, DebugSearch::Found(_)), "{with:?}");
}

#[test]
fn what_no_server_has_is_not_asked_for_again_and_the_next_server_is() {
    let folder = tempfile::tempdir().unwrap();
    let (image, debug) = program(folder.path(), "");
    let empty = serve(BTreeMap::new());
    let id = image.build_id().unwrap();
    let cache = folder.path().join("cache");
    for _ in 0..2 {
        assert!(client(&empty.url, &cache, "").fetch(id).unwrap().is_none());
    }
    assert_eq!(empty.asked.load(Ordering::SeqCst), 1);
    let full = serve(BTreeMap::from([(path_of(&image), ("200 OK", debug))]));
    let urls = format!("{} {}/", empty.url, full.url);
    let found = client(&urls, &folder.path().join("other"), "").fetch(id);
    assert!(found.unwrap().is_some());
}

#[test]
fn answers_that_are_wrong_are_refused_and_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (image, debug) = program(folder.path(), "");
    let other = tempfile::tempdir().unwrap();
    let (_, of_other_build) = program(other.path(), "-O2 -DOTHER -fno-pie -no-pie");
    let id = image.build_id().unwrap();
    let cases: [(Answer, &str, &str); 4] = [
        (("200 OK", of_other_build), "", "another build-id"),
        (("200 OK", b"<html>".to_vec()), "", "expected an ELF file"),
        (("200 OK", debug), "100", "more than 100 bytes"),
        (("500 No", Vec::new()), "", "status 500"),
    ];
    for (number, (answer, largest, told)) in cases.into_iter().enumerate() {
        let server = serve(BTreeMap::from([(path_of(&image), answer)]));
        let cache = folder.path().join(number.to_string());
        let error = client(&server.url, &cache, largest).fetch(id).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(told) && text.contains(&server.url), "{text}");
        assert!(matches!(error, DebuginfodError::Server { .. }));
        let kept = walk(&cache);
        assert!(kept.is_empty(), "{kept:?}");
    }
    let error = client("ftp://127.0.0.1:1", folder.path(), "").fetch(id);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("http:// or https://")
    );
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// A server of the openssl program's own, which ends with the value.
struct SecureServer {
    url: String,
    process: Child,
}

impl Drop for SecureServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves the files of a folder over TLS, as whole answers; `None` when openssl is missing.
fn serve_secure(folder: &Path) -> Option<SecureServer> {
    let mut openssl = Command::new("openssl");
    let request = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 2 \
                   -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
    let made = openssl.args(request.split_whitespace()).current_dir(folder);
    match made.stderr(Stdio::null()).status() {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            // Past the test runner's capture.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: debuginfod over https: openssl: {error}"
            );
            return None;
        }
    }
    // A free port, given back before openssl takes it.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let serve = format!("s_server -accept {port} -cert certificate.pem -key key.pem -HTTP -quiet");
    let mut openssl = Command::new("openssl");
    let openssl = openssl.args(serve.split_whitespace()).current_dir(folder);
    let process = openssl
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = SecureServer {
        url: format!("https://localhost:{port}"),
        process,
    };
    for _ in 0..200 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(server);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("openssl does not listen at port {port}");
}

#[test]
fn servers_are_asked_over_https_and_have_to_be_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (image, debug) = program(folder.path(), "");
    let id = image.build_id().unwrap();
    let place = folder.path().join(&path_of(&image)[1..]);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", debug.len());
    let mut answer = head.into_bytes();
    answer.extend_from_slice(&debug);
    std::fs::write(&place, answer).unwrap();
    let Some(server) = serve_secure(folder.path()) else {
        return;
    };
    let cache = folder.path().join("cache");
    let trusted = folder.path().join("certificate.pem");
    let found = trusting(&server.url, &cache, "", Some(&trusted)).fetch(id);
    assert_eq!(found.unwrap().unwrap().data(), debug);

    // Nobody whom the system trusts has signed it.
    let other = folder.path().join("other");
    let error = client(&server.url, &other, "")
        .fetch(id)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("certificate") && error.contains(&server.url),
        "{error}"
    );
    let nobody = folder.path().join("nobody.pem");
    std::fs::write(&nobody, "").unwrap();
    let error = trusting(&server.url, &other, "", Some(&nobody))
        .fetch(id)
        .unwrap_err();
    assert!(error.to_string().contains("ca-certificates"), "{error}");
    assert!(walk(&other).is_empty());
}

#[test]
fn without_the_variable_there_is_no_client() {
    assert!(Debuginfod::from_variables(|_| None).is_none());
    let blank = |name: &str| (name == "DEBUGINFOD_URLS").then(|| " ".to_owned());
    assert!(Debuginfod::from_variables(blank).is_none());
}
