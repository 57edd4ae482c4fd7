// Runs a script in a page of Chromium and keeps Chrome's own trace of it, V8's samples included:
// node chrome.js SCRIPT TRACE, with NODE_PATH set to the folder that holds puppeteer-core.
const puppeteer = require('puppeteer-core');
const fs = require('fs');

(async () => {
  const [script, trace] = process.argv.slice(2);
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync'],
  });
  const page = await browser.newPage();
  await page.tracing.start({ path: trace });
  await page.setContent(`<h1>x</h1><script>${fs.readFileSync(script, 'utf8').replace('1500', '400')}</script>`);
  await page.tracing.stop();
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
