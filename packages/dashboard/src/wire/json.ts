// json.ts: the types of the schema as they look in JSON: what is zero, empty or false is left out; wide numbers and enums are
// strings. Not here: asking for them (ask.ts).

/** One message, field by field. */
export type Json<Message> = { readonly [Key in keyof Message]?: JsonValue<Exclude<Message[Key], undefined>> };

type JsonValue<Value> = Value extends bigint | string | Uint8Array
  ? string
  : Value extends boolean
    ? boolean
    : Value extends number
      ? number extends Value
        ? number
        : string // A union of numbers is an enum: its name goes over the wire.
      : Value extends readonly (infer Row)[]
        ? readonly JsonValue<Row>[]
        : string extends keyof Value
          ? Readonly<Record<string, string>>
          : Json<Value>;
