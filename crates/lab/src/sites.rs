//! The three checkouts of a comparison, each built: from the cache where it has them, otherwise
//! checked out and built anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use hotproof_diff::RefFacts;

use crate::build::{self, Place, Recipe};
use crate::cache::{Cache, Finished, Key, Slot};
use crate::cargo::Workspace;
use crate::error::LabError;
use crate::event::{Checkout, Event, Observer};
use crate::git::{self, Worktree};
use crate::layouts::{self, Layouts, Linker};
use crate::options::{Build, Options, ProductKind};
use crate::scratch::Scratch;
use crate::{borrowed, cargo, filters, identity, seed, submodules};

/// A checkout that is built.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) place: Place,
    /// The program that cargo built, where it was asked for one.
    pub(crate) executable: Option<PathBuf>,
    /// The layouts of its programs, where several are asked for.
    pub(crate) layouts: Option<Layouts>,
    // Held, so that nobody else uses the checkout; removed with it when it is not finished.
    slot: Option<Slot>,
    /// Git's record of the checkout, as long as it is not built.
    worktree: Option<Worktree>,
    /// Whether the slot's name tells of everything that the build is made of.
    is_keyed: bool,
}

impl Site {
    /// A place that is not ours: nothing is built there, and nothing is removed.
    pub(crate) fn standing(place: Place) -> Site {
        Site {
            place,
            executable: None,
            layouts: None,
            slot: None,
            worktree: None,
            is_keyed: true,
        }
    }

    /// This very checkout in the seat of another, which nobody runs anything in.
    fn stand_in(&self, checkout: Checkout) -> Site {
        Site {
            executable: self.executable.clone(),
            ..Site::standing(Place {
                checkout,
                ..self.place.clone()
            })
        }
    }

    /// Gives a built checkout to the cache.
    fn keep(&mut self, took: Duration) -> Result<(), LabError> {
        let Some(slot) = self.slot.as_mut().filter(|_| self.is_keyed) else {
            return Ok(());
        };
        if let Some(worktree) = self.worktree.take() {
            worktree.release();
        }
        let relative = |path: &PathBuf| path.strip_prefix(slot.path()).ok().map(Path::to_owned);
        let executable = self.executable.as_ref().and_then(relative);
        if self.executable.is_some() && executable.is_none() {
            // A program outside of the checkout is not kept with it.
            return Ok(());
        }
        slot.finish(Finished {
            executable,
            seconds: took.as_secs(),
        })
    }

    fn is_finished(&self) -> bool {
        self.slot
            .as_ref()
            .is_some_and(|slot| slot.finished().is_some())
    }
}

/// What to check out, and how to build it.
pub(crate) struct Order<'a> {
    pub(crate) options: &'a Options,
    /// The top of the user's checkout.
    pub(crate) top: &'a Path,
    /// Where the user stands.
    pub(crate) user: &'a Path,
    /// Where the command runs, relative to the top.
    pub(crate) subdirectory: &'a Path,
    pub(crate) base: &'a RefFacts,
    pub(crate) head: &'a RefFacts,
}

/// What names the slots of both refs in the cache.
struct Keys {
    base: Key,
    head: Key,
}

impl Keys {
    fn of(&self, checkout: Checkout) -> &Key {
        match checkout {
            Checkout::Base | Checkout::Copy => &self.base,
            Checkout::Head => &self.head,
        }
    }
}

/// Base, where it took long enough to build that its dependencies are worth handing on.
struct Donor {
    workspace: Workspace,
}

impl Order<'_> {
    fn stop(&self) -> &AtomicBool {
        &self.options.stop
    }

    fn facts(&self, checkout: Checkout) -> &RefFacts {
        match checkout {
            Checkout::Base | Checkout::Copy => self.base,
            Checkout::Head => self.head,
        }
    }

    /// Whether two builds of base will be compared; instructions are counted without.
    fn needs_copy(&self) -> bool {
        !self.options.counting.is_some_and(|counting| counting.alone)
    }

    /// Checks out and builds base, head and the second copy of base. Where the copy is not needed,
    /// base stands in for it.
    ///
    /// # Errors
    /// When git or a build fails, or the directory or product is missing.
    pub(crate) fn fill(
        &self,
        scratch: &Scratch,
        notices: &mut Vec<String>,
        observer: &mut dyn Observer,
    ) -> Result<[Site; 3], LabError> {
        let cache = self.options.cache.as_deref().map(Cache::open);
        let cache = cache.transpose()?;
        let keys = match cache {
            Some(_) => Some(self.keys()?),
            None => None,
        };
        let place = |checkout| {
            let cache = cache.as_ref().zip(keys.as_ref());
            self.site(scratch, cache, checkout)
        };
        let mut sites = vec![place(Checkout::Base)?, place(Checkout::Head)?];
        if self.needs_copy() {
            sites.push(place(Checkout::Copy)?);
        }
        if !sites.iter().all(Site::is_finished) {
            // Their absence is written into what is built now; kept builds were told of then.
            for facts in [self.base, self.head] {
                let missing = filters::missing(self.top, facts, self.stop())?;
                notices.extend(missing);
            }
        }
        self.borrow_benchmark(&mut sites, notices)?;
        let linker = self.linker(scratch)?;
        let mut donor = None;
        let anything_to_build = !sites.iter().all(Site::is_finished);
        for site in &mut sites {
            if site.is_finished() {
                if linker.is_some() {
                    site.layouts = Some(Layouts::kept(&site.place)?);
                }
                observer.event(&Event::BuildKept {
                    checkout: site.place.checkout,
                });
            } else {
                let linker = linker.as_ref();
                self.build(site, linker, &mut donor, notices, observer)?;
            }
            if anything_to_build && donor.is_none() && site.place.checkout == Checkout::Base {
                donor = self.donor_of(site);
            }
        }
        if let Some(cache) = cache {
            cache.trim();
        }
        if !self.needs_copy() {
            sites.push(sites[0].stand_in(Checkout::Copy));
        }
        Ok(sites.try_into().expect("base, head and copy are three"))
    }

    /// What links several layouts of each program, where they are asked for.
    fn linker(&self, scratch: &Scratch) -> Result<Option<Linker>, LabError> {
        if self.options.layouts < 2 {
            return Ok(None);
        }
        let folder = match &self.options.cache {
            Some(root) => root.join("linker"),
            None => scratch.folder().path().join("linker"),
        };
        Linker::write(&folder, self.options.layouts, self.user).map(Some)
    }

    /// A checkout, from the cache with its build or else fresh.
    fn site(
        &self,
        scratch: &Scratch,
        cache: Option<(&Cache, &Keys)>,
        checkout: Checkout,
    ) -> Result<Site, LabError> {
        let facts = self.facts(checkout);
        let slot = match cache {
            Some((cache, keys)) => cache.slot(keys.of(checkout))?,
            None => None,
        };
        let path = match &slot {
            Some(slot) => slot.path().to_owned(),
            None => scratch.folder().path().join(checkout.name()),
        };
        let kept = slot.as_ref().and_then(Slot::finished).cloned();
        let worktree = match kept {
            Some(_) => None,
            None => Some(Worktree::add(
                self.top,
                path.clone(),
                &facts.commit,
                self.stop(),
            )?),
        };
        let place = Place {
            checkout,
            name: facts.name.clone(),
            directory: path.join(self.subdirectory),
            top: path,
        };
        let site = Site {
            executable: kept
                .and_then(|kept| kept.executable)
                .map(|program| place.top.join(program)),
            layouts: None,
            place,
            slot,
            worktree,
            is_keyed: true,
        };
        if !site.is_finished() {
            submodules::check_out(self.top, &site.place, &facts.commit, scratch, self.stop())?;
        }
        if !site.place.directory.is_dir() {
            return Err(LabError::NoSubdirectory {
                place: site.place.describe(),
                subdirectory: self.subdirectory.to_owned(),
            });
        }
        Ok(site)
    }

    /// What the checkouts and their builds depend on. The tools are asked once for all of them.
    fn keys(&self) -> Result<Keys, LabError> {
        let tools = identity::of_builds(self.user);
        Ok(Keys {
            base: self.key(self.base, &tools)?,
            head: self.key(self.head, &tools)?,
        })
    }

    fn key(&self, facts: &RefFacts, tools: &[u8]) -> Result<Key, LabError> {
        let product = self.options.workload.product.as_ref();
        // A benchmark that base does not have is taken from head, and is then part of base.
        let lender = match product {
            Some(product) if product.kind == ProductKind::Bench => {
                let has = borrowed::has(self.top, facts, product, self.stop())?;
                if has { "" } else { self.head.tree.as_str() }
            }
            _ => "",
        };
        let build = match &self.options.build {
            Build::Auto => "cargo".to_owned(),
            Build::Command(line) => format!("sh {line}"),
            Build::None => "nothing".to_owned(),
        };
        let build = match self.options.layouts {
            0 | 1 => build,
            count => format!("{build}, {count} layouts"),
        };
        let products = match (product, &self.options.build) {
            (Some(product), _) => product.to_string(),
            (None, Build::Auto) => {
                format!("{:?}", cargo::naming_words(&self.options.workload.command))
            }
            // What is run changes nothing of what is built.
            (None, Build::Command(_) | Build::None) => String::new(),
        };
        Ok(Key::of(&[
            &facts.tree,
            &facts.commit,
            &self.subdirectory.as_os_str().as_encoded_bytes(),
            &build,
            &products,
            &lender,
            &tools,
        ]))
    }

    /// Hands a benchmark that exists at head only to the checkouts of base.
    fn borrow_benchmark(
        &self,
        sites: &mut [Site],
        notices: &mut Vec<String>,
    ) -> Result<(), LabError> {
        let Some(product) = &self.options.workload.product else {
            return Ok(());
        };
        if product.kind != ProductKind::Bench || sites.iter().all(Site::is_finished) {
            return Ok(());
        }
        let [base, head, copies @ ..] = sites else {
            return Ok(());
        };
        if cargo::manifest(&head.place.directory, &head.place.top).is_none() {
            // The recipe says so, in words of its own.
            return Ok(());
        }
        let lender = build::workspace(&head.place, self.stop())?;
        for site in std::iter::once(base).chain(copies) {
            if site.is_finished() {
                continue;
            }
            let own = build::workspace(&site.place, self.stop())?;
            if own.find(product).is_some() {
                continue;
            }
            let text = borrowed::lend(product, &lender, &own, &site.place)?;
            // A file of that name that is no benchmark of base's looks like one in the key.
            let facts = self.facts(site.place.checkout);
            if text.is_some() && borrowed::has(self.top, facts, product, self.stop())? {
                site.is_keyed = false;
            }
            notices.extend(text.filter(|text| !notices.contains(text)));
        }
        Ok(())
    }

    fn build(
        &self,
        site: &mut Site,
        linker: Option<&Linker>,
        donor: &mut Option<Donor>,
        notices: &mut Vec<String>,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let place = &site.place;
        let mut recipe = build::recipe(self.options, place)?;
        if let Some(linker) = linker {
            let Some(recipe) = &mut recipe else {
                return Err(LabError::NoLayouts {
                    place: place.describe(),
                    reason: "nothing is built there, so nothing is linked; say how to build it with --build CMD".to_owned(),
                });
            };
            layouts::prepare(place)?;
            recipe.link_with(linker, place);
        }
        let started = Instant::now();
        if let Some(recipe) = &recipe {
            let shared = build::share_lock_file(place, self.user)?;
            notices.extend(shared.filter(|_| place.checkout != Checkout::Copy));
            let with_base = match (&donor, &recipe.workspace) {
                (Some(base), Some(own)) => {
                    seed::share(&base.workspace, own, &place.top, self.stop())?
                }
                _ => false,
            };
            site.executable = build_one(recipe, place, with_base, self.stop(), observer)?;
            if linker.is_some() {
                site.layouts = Some(layouts::arrange(place, self.options.layouts)?);
            }
        }
        let took = started.elapsed();
        if let (Checkout::Base, Some(workspace)) =
            (place.checkout, recipe.and_then(|it| it.workspace))
            && took >= seed::WORTH_SHARING
        {
            *donor = Some(Donor { workspace });
        }
        site.keep(took)
    }

    /// Base as the giver of built dependencies, when the cache had it and it took long to build.
    fn donor_of(&self, site: &Site) -> Option<Donor> {
        let kept = site.slot.as_ref()?.finished()?;
        if kept.seconds < seed::WORTH_SHARING.as_secs() {
            return None;
        }
        let workspace = build::workspace(&site.place, self.stop()).ok()?;
        Some(Donor { workspace })
    }
}

fn build_one(
    recipe: &Recipe,
    place: &Place,
    with_base: bool,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Option<PathBuf>, LabError> {
    let note = if with_base {
        " (dependencies shared with base)"
    } else {
        ""
    };
    observer.event(&Event::BuildStarted {
        checkout: place.checkout,
        command: &format!("{}{note}", recipe.line()),
    });
    let started = Instant::now();
    let executable = recipe.build(place, stop)?;
    observer.event(&Event::BuildFinished {
        checkout: place.checkout,
        seconds: started.elapsed().as_secs_f64(),
    });
    // Debug information and /proc spell paths without symbolic links.
    Ok(executable.map(|path| fs::canonicalize(&path).unwrap_or(path)))
}

/// Removes what comparisons that were killed left in the repository: git's record of slots that
/// nobody uses.
pub(crate) fn forget_abandoned(top: &Path, root: &Path) {
    let Ok(cache) = Cache::open(root) else {
        return;
    };
    for worktree in git::registered(top) {
        if cache.is_abandoned(&worktree) {
            drop(Worktree::adopt(top, worktree));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A base whose stray `benches/X.rs` is no benchmark borrows head's, and was kept as if it were
    /// its own: another head's comparison found it.
    #[test]
    fn a_build_with_more_in_it_than_its_key_says_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let key = Key::of(&[&"tree"]);
        for is_keyed in [false, true] {
            let slot = cache.slot(&key).unwrap().unwrap();
            fs::create_dir_all(slot.path()).unwrap();
            let top = slot.path().to_owned();
            let mut site = Site {
                slot: Some(slot),
                is_keyed,
                ..Site::standing(Place {
                    checkout: Checkout::Base,
                    name: "main".to_owned(),
                    directory: top.clone(),
                    top,
                })
            };
            site.keep(Duration::from_secs(1)).unwrap();
            drop(site);
            let slot = cache.slot(&key).unwrap().unwrap();
            assert_eq!(slot.finished().is_some(), is_keyed);
        }
    }
}
