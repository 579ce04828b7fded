/** Lines of at most `width` characters, cut at blanks where there are some. */
export function wrap(text: string, width: number | undefined): readonly string[] {
  const lines: string[] = [];
  for (const word of text.trim().split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= (width ?? Infinity)) {
      lines.push(`${lines.pop()} ${word}`);
    } else lines.push(word);
  }
  return lines;
}

/** The text as lines with their line feeds; further lines are indented. */
export function paragraph(text: string, width: number | undefined): string {
  const [first = "", ...rest] = wrap(text, width);
  const more = rest.length === 0 ? [] : wrap(rest.join(" "), width && width - 2);
  return [first, ...more.map((line) => `  ${line}`)].map((line) => `${line}\n`).join("");
}
