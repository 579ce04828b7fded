import { escapeControl } from "../log/format_record.ts";

/** One column of a table. */
export interface Column {
  readonly title: string;
  /** Figures stand better at the right. @default {"left"} */
  readonly align?: "left" | "right";
}

/** How a table is printed. */
export interface TableOptions {
  /** Dims the titles. @default {false} */
  readonly color?: boolean;
  /** Text in front of each line. @default {""} */
  readonly indent?: string;
}

/**
 * Lines of a table with two spaces between the columns; columns that are empty in every row are
 * left out. Control characters are escaped, so that a name from elsewhere cannot move the cursor.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { color = false, indent = "" }: TableOptions = {},
): string {
  const cells = rows.map((row) => columns.map((_, index) => escapeControl(row[index] ?? "")));
  const used = columns.map((_, index) => index).filter((index) =>
    cells.length === 0 || cells.some((row) => row[index] !== "")
  );
  const widths = used.map((index) =>
    Math.max(columns[index]!.title.length, ...cells.map((row) => row[index]!.length))
  );
  const line = (texts: readonly string[]) =>
    used.map((column, index) => {
      const text = texts[column]!;
      return columns[column]!.align === "right"
        ? text.padStart(widths[index]!)
        : text.padEnd(widths[index]!);
    }).join("  ").trimEnd();
  const titles = line(columns.map(({ title }) => title));
  const head = color ? `\x1b[2m${titles}\x1b[0m` : titles;
  return [head, ...cells.map(line)].map((text) => `${indent}${text}\n`).join("");
}
