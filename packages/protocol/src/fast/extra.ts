// fast/extra.ts: the fields of a message that the fast path does not know. The protocol grows: a field that is added to a message must
// not be lost because it is handled by hand here, so a message that sets one goes through the generated code.

/** Names of the fields beyond `known`, with what each is when it is not set. */
export type ExtraFields<Message> = readonly (readonly [field: keyof Message, unset: unknown])[];

/** @param unset the message with nothing set, as the generated `create` makes it */
export function extraFieldsOf<Message extends object>(
  unset: Message,
  known: readonly (keyof Message)[],
): ExtraFields<Message> {
  // The keys of a message are its fields, which `Object.keys` cannot tell the compiler.
  const fields = Object.keys(unset) as (keyof Message)[];
  return fields.filter((field) => !known.includes(field)).map((field) => [field, unset[field]]);
}

export function setsExtra<Message>(message: Message, extra: ExtraFields<Message>): boolean {
  if (extra.length === 0) return false; // As a rule: what is used often is known.
  for (const [field, unset] of extra) {
    const value = message[field];
    if (value !== unset && !(Array.isArray(value) && value.length === 0)) return true;
  }
  return false;
}
