// Opens speedscope's own page with each file in Chromium and prints the rows of its sandwich view,
// one JSON list a file: [[total, self, name], ...]. Run with NODE_PATH set to the folder that holds
// speedscope and puppeteer-core: node speedscope.js SCRATCH FILE...
const puppeteer = require('puppeteer-core');
const fs = require('fs');
const path = require('path');

const page_of = path.join(path.dirname(require.resolve('speedscope/package.json')), 'dist/release/index.html');

async function rows(page, scratch, file) {
  const script = path.join(scratch, path.basename(file) + '.js');
  const text = fs.readFileSync(file).toString('base64');
  fs.writeFileSync(script, `speedscope.loadFileFromBase64(${JSON.stringify(path.basename(file))}, ${JSON.stringify(text)})`);
  await page.goto('about:blank');
  await page.goto(`file://${page_of}#localProfilePath=${script}`);
  await page.waitForFunction(() => document.body.innerText.includes('Sandwich'), { timeout: 60000 });
  await page.keyboard.press('3');
  await page.waitForFunction(() => document.querySelectorAll('table tr').length > 1, { timeout: 60000 });
  return page.evaluate(() => {
    const whole = (text) => Number(text.replace(/,/g, '').split(' ')[0]);
    const cells = [...document.querySelectorAll('table tr')].map((row) => [...row.querySelectorAll('td')]);
    const filled = cells.filter((row) => row.length >= 3);
    return filled.map((row) => [whole(row[0].innerText), whole(row[1].innerText), row[2].textContent]);
  });
}

(async () => {
  const [scratch, ...files] = process.argv.slice(2);
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    userDataDir: path.join(scratch, 'chromium'),
    args: ['--no-sandbox', '--allow-file-access-from-files'],
  });
  try {
    const page = await browser.newPage();
    // Rows out of sight are not there.
    await page.setViewport({ width: 1200, height: 4000 });
    for (const file of files) {
      console.log(JSON.stringify(await rows(page, scratch, file)));
    }
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
