function isDigit(c) {
  return c >= 48 && c <= 57;
}

function parseIt(text) {
  let number = 0;
  let sum = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (isDigit(c)) {
      number = number * 10 + c - 48;
    } else {
      sum += number;
      number = 0;
    }
  }
  return sum;
}

class Lexer {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  next() {
    return this.text[this.at++];
  }

  run() {
    let count = 0;
    while (this.next() !== undefined) count++;
    return count;
  }
}

function main() {
  const text = Array.from({ length: 200000 }, (_, i) => (i * 7919) % 10007).join(',');
  let all = 0;
  const end = Date.now() + 1500;
  while (Date.now() < end) {
    all += parseIt(text) + new Lexer(text).run();
    JSON.parse('[' + text + ']').sort((a, b) => a - b);
  }
  console.log(all > 0);
}

main();
