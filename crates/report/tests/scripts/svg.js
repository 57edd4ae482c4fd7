// Opens each picture in Chromium and prints what it shows, one JSON object a file: the texts of the
// head, the frames ([name, tooltip, first unit, units wide, y, colour]), and every dialog, page error
// and element that no flame graph has. A PNG of each lies beside it. Run with NODE_PATH set to the
// folder that holds puppeteer-core: node svg.js SCRATCH FILE...
const puppeteer = require('puppeteer-core');
const path = require('path');

async function shown(page, file) {
  const surprises = [];
  const dialog = async (box) => { surprises.push('dialog ' + box.message()); await box.dismiss(); };
  const failure = (error) => surprises.push('error ' + error.message);
  page.on('dialog', dialog).on('pageerror', failure);
  await page.goto(`file://${path.resolve(file)}`);
  await page.screenshot({ path: file + '.png' });
  const found = await page.evaluate(() => {
    const odd = [...document.querySelectorAll('*')].map((element) => element.localName);
    const known = ['svg', 'defs', 'linearGradient', 'stop', 'style', 'script', 'rect', 'text', 'g', 'title', 'a', 'tspan'];
    const frames = [...document.querySelectorAll('#frames > g, #frames > a > g')].map((group) => {
      const title = group.querySelector('title').textContent;
      const rect = group.querySelector('rect');
      const number = (name) => rect.getAttribute(name);
      const at = title.lastIndexOf(' (');
      return [title.slice(0, at), title.slice(at + 1), number('fg:x'), number('fg:w'), number('y'), rect.getAttribute('fill')];
    });
    const text = (id) => (document.getElementById(id) || {}).textContent || '';
    return {
      root: document.documentElement.localName,
      title: text('title'),
      subtitle: text('subtitle'),
      scripts: document.querySelectorAll('script').length,
      odd: odd.filter((name) => !known.includes(name)),
      frames,
    };
  });
  page.off('dialog', dialog).off('pageerror', failure);
  return { ...found, surprises };
}

(async () => {
  const [scratch, ...files] = process.argv.slice(2);
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    userDataDir: path.join(scratch, 'chromium'),
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--allow-file-access-from-files'],
  });
  try {
    const page = await browser.newPage();
    await page.setViewport({ width: 1200, height: 900 });
    for (const file of files) {
      console.log(JSON.stringify(await shown(page, file)));
    }
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
