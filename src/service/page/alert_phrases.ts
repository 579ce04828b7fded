/**
 * Alerts in Portuguese. They are made, kept and sent in English; the page says them anew, phrase by
 * phrase, and leaves what the program or a server said of a cause as it is.
 *
 * @module
 */

/**
 * By rule, what it says and the same in Portuguese; the first that fits is taken. `{span}` is a
 * span of time, `{time}` a moment, `{size}` and `{free}` figures in bytes, `{part}` a thing with a
 * name of its own, others any text.
 */
const PHRASES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  run_failed: [
    ["{a} found damage: {b}", "{a} encontrou danos: {b}"],
    ["{a} met a conflict: {b}", "{a} encontrou um conflito: {b}"],
    ["{a} failed: no reason was recorded", "{a} falhou: nenhum motivo foi registrado"],
    ["{a} failed: {b}", "{a} falhou: {b}"],
    ["It ended at {time} on {a}, code {b}.", "Terminou em {time} em {a}, código {b}."],
    ["It ended at {time}, code {a}.", "Terminou em {time}, código {a}."],
    ["It ended at {time} on {a}.", "Terminou em {time} em {a}."],
    ["It ended at {time}.", "Terminou em {time}."],
  ],
  entry_failed: [
    [
      '{a}: nobody knows how "{b}" of {time} ended',
      '{a}: ninguém sabe como terminou "{b}" de {time}',
    ],
    [
      "the daemon died meanwhile; the next run tells",
      "o daemon morreu nesse meio-tempo; a próxima execução dirá",
    ],
    ['{a}: "{b}" failed with status {c}', '{a}: "{b}" falhou com status {c}'],
    ['{a}: "{b}" failed: {c}', '{a}: "{b}" falhou: {c}'],
    ['{a}: "{b}" failed', '{a}: "{b}" falhou'],
    ["It was due at {time}.", "Estava marcada para {time}."],
  ],
  schedule_silent: [
    [
      '{a}: "{b}" was due {span} ago and has not begun',
      '{a}: "{b}" estava marcada há {span} e não começou',
    ],
    [
      "does a daemon run the schedule of this cluster?",
      "algum daemon executa o agendamento deste cluster?",
    ],
  ],
  full_too_old: [
    ["there is no full backup", "não há backup completo"],
    ["the newest full backup is {span} old", "o backup completo mais recente tem {span}"],
    [
      "It is {a}; none should be older than {span}.",
      "É o {a}; nenhum deveria ter mais de {span}.",
    ],
    [
      'do scheduled backups run? "backupctl backup full" takes one now',
      'os backups agendados são executados? "backupctl backup full" faz um agora',
    ],
  ],
  backup_unreadable: [
    ["{a} cannot be used: {b}", "{a} não pode ser usado: {b}"],
    [
      "what it describes cannot be restored; take a new backup soon",
      "o que ele descreve não pode ser restaurado; faça logo um novo backup",
    ],
  ],
  backup_damaged: [
    ["the WAL archive is damaged", "o acervo de WAL está danificado"],
    ["backup {a} is damaged", "o backup {a} está danificado"],
    [
      "backup {a} could not be restored by a drill",
      "o backup {a} não pôde ser restaurado por um ensaio",
    ],
    ["{a} found it at {time}.", "{a} descobriu isso em {time}."],
    [
      "take a new backup now; what is damaged cannot be made good",
      "faça um novo backup agora; o que está danificado não tem conserto",
    ],
  ],
  wal_gap: [
    ["WAL segment {a} is missing in the archive", "falta o segmento de WAL {a} no acervo"],
    [
      "WAL segments {a} to {b} are missing in the archive",
      "faltam os segmentos de WAL de {a} a {b} no acervo",
    ],
    [
      "No moment of timeline {a} behind them can be restored from a backup that ended before.",
      "Nenhum momento da linha do tempo {a} depois deles pode ser restaurado de um backup que " +
      "terminou antes.",
    ],
    [
      "does the server still have them in pg_wal? If not, take a backup now",
      "o servidor ainda os tem em pg_wal? Se não, faça um backup agora",
    ],
  ],
  wal_lag: [
    [
      "WAL waits to be archived, the oldest for {span}",
      "há WAL à espera de arquivamento, o mais antigo há {span}",
    ],
    [
      "1 WAL file waits to be archived, the oldest for {span}",
      "1 arquivo de WAL espera o arquivamento há {span}",
    ],
    [
      "{a} WAL files wait to be archived, the oldest for {span}",
      "{a} arquivos de WAL esperam o arquivamento, o mais antigo há {span}",
    ],
    [
      "archive_command failed {a} times, last with {b}. " +
      "Until then the last {span} cannot be restored, and pg_wal grows.",
      "archive_command falhou {a} vezes, a última com {b}. " +
      "Até lá os últimos {span} não podem ser restaurados, e pg_wal cresce.",
    ],
    [
      "archive_command failed {a} times, last with {b}. " +
      "Until then the last {span} cannot be restored.",
      "archive_command falhou {a} vezes, a última com {b}. " +
      "Até lá os últimos {span} não podem ser restaurados.",
    ],
    [
      "Until then the last {span} cannot be restored, and pg_wal grows.",
      "Até lá os últimos {span} não podem ser restaurados, e pg_wal cresce.",
    ],
    [
      "Until then the last {span} cannot be restored.",
      "Até lá os últimos {span} não podem ser restaurados.",
    ],
    [
      "the server's log says why its archive_command fails",
      "o log do servidor diz por que o archive_command falha",
    ],
    [
      "the server archived {a} {span} ago, and it is not here",
      "o servidor arquivou {a} há {span}, e ele não está aqui",
    ],
    ["The newest segment in {a} is none.", "Não há nenhum segmento em {a}."],
    ["The newest segment in {a} is {b}.", "O segmento mais novo em {a} é {b}."],
    [
      "does its archive_command name this repository and this cluster?",
      "o archive_command dele aponta para este repositório e este cluster?",
    ],
  ],
  wal_conflict: [
    [
      "WAL segment {a} cannot be archived: the archive has one of that name",
      "o segmento de WAL {a} não pode ser arquivado: o acervo já tem um com esse nome",
    ],
    ["The newest segment in {a} is {b}.", "O segmento mais novo em {a} é {b}."],
    [
      "does a restored copy, or another cluster, archive under the same cluster name?",
      "uma cópia restaurada, ou outro cluster, arquiva sob o mesmo nome de cluster?",
    ],
  ],
  disk_low: [
    ["{part} has {free} of {size} free", "{part} tem {free} de {size} livres"],
    [
      "less than {a} % are left; make room before it is full",
      "restam menos de {a} %; abra espaço antes que encha",
    ],
  ],
  prune_not_run: [
    ...notRun(),
    [
      "the repository grows without bound; is it in the schedule or in cron?",
      "o repositório cresce sem limite; está no agendamento ou no cron?",
    ],
  ],
  drill_too_old: [
    ...notRun(),
    [
      "a backup that was never restored is a hope",
      "um backup que nunca foi restaurado é uma esperança",
    ],
  ],
  verify_too_old: [
    ...notRun(),
    [
      "damage that nobody looks for is found by a restore",
      "danos que ninguém procura são achados por uma restauração",
    ],
  ],
  expires_soon: [
    ["{part} expired {span} ago", "{part}: expirou há {span}"],
    ["{part} expires in {span}", "{part}: expira em {span}"],
    ["The moment is {time}.", "O momento é {time}."],
    ["renew it: backups fail without it", "renove: sem isso os backups falham"],
  ],
  unreachable: [
    ["{part} cannot be asked: {a}", "{part} não responde: {a}"],
    ["no backup can be taken meanwhile", "enquanto isso nenhum backup pode ser feito"],
  ],
  config_refused: [
    [
      "the changed configuration has faults; the one before it applies",
      "a configuração alterada tem erros; vale a anterior",
    ],
    [
      '"backupctl config check" names every fault',
      '"backupctl config check" aponta cada erro',
    ],
  ],
};

/** Of every rule that shows its first few findings. */
const MORE = ["{a} more of this kind: {b}", "mais {a} do mesmo tipo"] as const;

const UNITS: Readonly<Record<string, string>> = {
  days: "dias",
  hours: "horas",
  minutes: "minutos",
  seconds: "segundos",
};

const PARTS: Readonly<Record<string, string>> = {
  "the repository": "o repositório",
  "the index of runs": "o índice de execuções",
  "the repository's disk": "o disco do repositório",
  "the AWS credentials": "as credenciais da AWS",
};

function notRun(): readonly (readonly [string, string])[] {
  return [
    ["{a} last succeeded {span} ago", "{a}: o último sucesso foi há {span}"],
    ["{a} has not succeeded for {span} at least", "{a}: sem sucesso há pelo menos {span}"],
    ["It should not be longer than {span}.", "Não deveria passar de {span}."],
  ];
}

const KINDS: Readonly<Record<string, string>> = {
  span: "\\d+ [a-z]+",
  size: "[\\d.]+ [kMGTP]?B",
  free: "[\\d.]+ [kMGTP]?B",
  time: "\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z",
};

interface Phrase {
  readonly pattern: RegExp;
  readonly portuguese: string;
}

const COMPILED = new Map(
  Object.entries(PHRASES).map(([rule, pairs]) => [rule, [...pairs, MORE].map(compile)]),
);

function compile([english, portuguese]: readonly [string, string]): Phrase {
  const source = english
    .replace(/[.*+?^$()|[\]\\]/g, "\\$&")
    .replace(/\{(\w+)\}/g, (_, name) => `(?<${name}>${KINDS[name] ?? ".+?"})`);
  return { pattern: new RegExp(`^${source}$`, "s"), portuguese };
}

/**
 * A title, a detail or a hint of an alert in Portuguese.
 *
 * @param text one line of a few hundred characters at most.
 * @param formatTime how the page writes a moment.
 * @returns undefined when it is no phrase of that rule.
 */
export function portugueseAlert(
  text: string,
  { rule, formatTime }: { readonly rule: string; readonly formatTime: (time: Date) => string },
): string | undefined {
  for (const { pattern, portuguese } of COMPILED.get(rule) ?? []) {
    const match = pattern.exec(text);
    if (!match) continue;
    const { groups } = match;
    return portuguese.replace(/\{(\w+)\}/g, (_, name) => {
      const value = groups?.[name] ?? "";
      if (name === "span") return spanInPortuguese(value);
      if (name === "part") return partInPortuguese(value);
      if (name === "size" || name === "free") return value.replace(".", ",");
      return name === "time" ? formatTime(new Date(value)) : value;
    });
  }
  return undefined;
}

function spanInPortuguese(span: string): string {
  const [count = "", unit = ""] = span.split(" ");
  return `${count} ${UNITS[unit] ?? unit}`;
}

function partInPortuguese(part: string): string {
  return PARTS[part] ?? part.replace(/^the certificate /, "o certificado ")
    .replace(/^the disk of /, "o disco de ");
}
