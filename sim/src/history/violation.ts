// violation.ts: the ways in which a service can break its word, as the checkers name them.

export const VIOLATIONS = {
  double_grant: "Two grants that exclude each other were held at the same time.",
  permits_exceeded: "More permits were held at the same time than the limit allows.",
  half_batch: "Of elements taken together some were granted and some not.",
  token_repeated: "Two grants of one element have the same token.",
  token_fell: "A later exclusive grant has a token that is not above an earlier one.",
  grant_to_dead_session: "A grant was made to a session that had ended before.",
  holder_robbed: "A grant was refused as ended although its lease ran and nobody had released it.",
  holder_wrong: "A grant that had ended was shown as the holder.",
  session_robbed: "A session was declared dead before its ttl had passed.",
  stale_release: "A release with an old token was accepted after a newer grant.",
  two_answers: "One request got two different answers.",
  append_lost: "An acknowledged append, or one that was seen before, is missing from a read.",
  append_doubled: "One append stands in a file more than once.",
  append_reordered: "Entries of a file stand in an order that contradicts their answers, earlier reads or real time.",
  append_unfenced: "An append was accepted under a grant that had ended.",
  append_invented: "A read shows an entry that nobody appended, or that was refused.",
  read_from_future: "A read shows an append that was asked for after the read had returned.",
  undone_work_visible: "Work that had to be undone is visible after the next grant.",
  half_undone: "Of the work done under one grant a part was undone and a part was not.",
} as const;

export type ViolationKind = keyof typeof VIOLATIONS;

export interface Violation {
  readonly kind: ViolationKind;
  readonly key: string;
  /** With the values that contradict each other. */
  readonly message: string;
  /** Lines of the history that show it. */
  readonly lines: readonly number[];
}
