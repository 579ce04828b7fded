import type { OpenAlert } from "../alerts/alert_state.ts";
import { oneLine, shorten } from "../alerts/channels/message_text.ts";
import type { ServiceSnapshot } from "../snapshot.ts";
import { portugueseAlert } from "./alert_phrases.ts";
import { type Language, type Words, wordsOf } from "./language.ts";

/** How much was stored at a moment. */
export interface StoragePoint {
  readonly at: Date;
  readonly bytes: number;
}

/** What the page is made of. */
export interface PageView {
  readonly snapshot: ServiceSnapshot;
  /** Those that hold, oldest first. */
  readonly alerts: readonly OpenAlert[];
  /** Oldest first. */
  readonly storage: readonly StoragePoint[];
}

/** Texts, times and figures in one language. */
export class PageText {
  readonly words: Words;
  readonly #time: Intl.DateTimeFormat;
  readonly #day: Intl.DateTimeFormat;
  readonly #locale: string;

  constructor(readonly language: Language) {
    this.words = wordsOf(language);
    this.#locale = language === "pt" ? "pt-BR" : "en-GB";
    const form = { timeZone: "UTC", day: "2-digit", month: "short", year: "numeric" } as const;
    this.#day = new Intl.DateTimeFormat(this.#locale, form);
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
    this.#time = new Intl.DateTimeFormat(this.#locale, { ...form, ...clock });
  }

  /** Day and minute; a dash when it is not known or no moment. */
  time(moment: Date | undefined): string {
    return moment && !Number.isNaN(moment.getTime()) ? this.#time.format(moment) : "–";
  }

  /** The day alone. */
  day(moment: Date): string {
    return Number.isNaN(moment.getTime()) ? "–" : this.#day.format(moment);
  }

  /** A size in powers of 1,024. */
  size(bytes: number): string {
    const units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let [value, unit] = [bytes, 0];
    while (Math.abs(value) >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit += 1;
    }
    const digits = unit === 0 || value >= 100 ? 0 : 1;
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    return `${value.toLocaleString(this.#locale, options)} ${units[unit]}`;
  }

  /** A span with one unit, rounded down: `3 d`, `5 h`, `12 min`, `40 s`. */
  span(milliseconds: number): string {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    if (seconds >= 2 * 86_400) return `${Math.floor(seconds / 86_400)} d`;
    if (seconds >= 2 * 3_600) return `${Math.floor(seconds / 3_600)} h`;
    return seconds >= 120 ? `${Math.floor(seconds / 60)} min` : `${seconds} s`;
  }

  /** An alert's title in this language; in Portuguese an unknown one with its rule in front. */
  alertTitle(title: string, rule: string): string {
    const known = Object.hasOwn(this.words.rules, rule) ? `${this.words.rules[rule]}: ` : "";
    return this.#translated(title, rule) ?? known + safeText(title);
  }

  /** What else an alert says. */
  ofAlert(text: string, rule: string): string {
    return this.#translated(text, rule) ?? safeText(text);
  }

  #translated(text: string, rule: string): string | undefined {
    if (this.language !== "pt") return undefined;
    const formatTime = (time: Date) => this.time(time);
    return portugueseAlert(safeText(text), { rule, formatTime });
  }

  /** A known word in this language; any other as it is. */
  word(name: string): string {
    return Object.hasOwn(this.words.words, name) ? this.words.words[name]! : safeText(name);
  }
}

/** Text from elsewhere: one line, nothing in it that hides or turns what stands beside it. */
export function safeText(text: string, length = 300): string {
  return shorten(oneLine(text), length);
}
