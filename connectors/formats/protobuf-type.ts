/**
 * Protobuf messages as plain nodes, of which each exists once, so that a recursive message is a circle.
 * protobufjs reads and judges the text; this is the one place that knows its classes.
 */
import protobuf from 'protobufjs';
import { MillraceError } from '../../core/errors.js';

export type ProtoScalar =
  | 'double'
  | 'float'
  | 'int32'
  | 'sint32'
  | 'sfixed32'
  | 'uint32'
  | 'fixed32'
  | 'int64'
  | 'sint64'
  | 'sfixed64'
  | 'uint64'
  | 'fixed64'
  | 'bool'
  | 'string'
  | 'bytes';

export interface ProtoEnum {
  readonly kind: 'enum';
  readonly name: string;
  /** Of several names for one number the first. */
  readonly names: ReadonlyMap<number, string>;
  readonly numbers: ReadonlyMap<string, number>;
}
export interface ProtoMessage {
  readonly kind: 'message';
  /** With its package: `shop.Order`. */
  readonly name: string;
  readonly fields: readonly ProtoField[];
}
export type ProtoType =
  | { readonly kind: ProtoScalar }
  /** google.protobuf.Timestamp */
  | { readonly kind: 'timestamp' }
  | ProtoEnum
  | ProtoMessage;

export interface ProtoField {
  readonly name: string;
  readonly number: number;
  /** Of a map: of its values. */
  readonly type: ProtoType;
  readonly shape: 'single' | 'repeated' | 'map';
  readonly mapKey: ProtoScalar | undefined;
  readonly isPacked: boolean;
  /** Whether an absent one can be told from its default. */
  readonly hasPresence: boolean;
  readonly isRequired: boolean;
  /** The group of fields of which only one is set. */
  readonly oneof: string | undefined;
}

/** A message and where it stands in its file: the indexes of the messages around it and of its own. */
export interface ProtoEntry {
  readonly message: ProtoMessage;
  /** Without its package: `Outer.Inner`. */
  readonly localName: string;
  readonly indexes: readonly number[];
}

/** The messages of a file, those of other messages included, in the order in which they stand there. */
export type ProtoFile = readonly ProtoEntry[];

const TIMESTAMP = '.google.protobuf.Timestamp';

/**
 * @param imports texts by the paths that they are imported by; Google's well-known ones are there
 * @throws MillraceError SCHEMA_INVALID when it is no text of a .proto file, or names what is not there
 */
export function parseProto(text: string, imports: ReadonlyMap<string, string>): ProtoFile {
  try {
    const root = new protobuf.Root();
    const isRead = new Set<string>();
    const read = (source: string): string | undefined => {
      const parsed = protobuf.parse(source, root, { keepCase: true });
      for (const path of [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])]) {
        if (isRead.has(path)) continue;
        isRead.add(path);
        const imported = imports.get(path);
        const known = protobuf.common.get(path);
        if (imported !== undefined) read(imported);
        else if (known?.nested !== undefined) root.addJSON(known.nested);
        else throw new Error(`it imports "${path}", which is not there`);
      }
      return parsed.package;
    };
    // The file's own messages are told from imported ones of the same package by a root of their own.
    const alone = new protobuf.Root();
    const ownPackage = protobuf.parse(text, alone, { keepCase: true }).package;
    read(text);
    root.resolveAll();
    const known = new Map<protobuf.Type, ProtoMessage>();
    return entriesOf(alone, ownPackage).map(({ localName, indexes, fullName }) => ({
      localName,
      indexes,
      message: convertMessage(root.lookupType(fullName), known),
    }));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MillraceError(
      'SCHEMA_INVALID',
      `not the text of a .proto file: ${reason}; correct it, or give what it imports as imports`,
      { cause: error },
    );
  }
}

/** What the type is to people: `message shop.Order`. */
export function describeProtoType(type: ProtoType): string {
  if (type.kind === 'timestamp') return 'google.protobuf.Timestamp';
  return 'name' in type ? `${type.kind} ${type.name}` : type.kind;
}

export function describeProtoField({ type, shape, mapKey }: ProtoField): string {
  const value = describeProtoType(type);
  if (shape === 'map') return `map<${mapKey ?? ''}, ${value}>`;
  return shape === 'repeated' ? `repeated ${value}` : value;
}

type Found = Omit<ProtoEntry, 'message'> & { readonly fullName: string };

function entriesOf(root: protobuf.Root, ownPackage: string | undefined): Found[] {
  const found: Found[] = [];
  const visit = (
    parent: protobuf.NamespaceBase,
    prefix: string,
    above: readonly number[],
  ): void => {
    const messages = parent.nestedArray.filter((one) => one instanceof protobuf.Type);
    messages.forEach((message, index) => {
      const localName = `${prefix}${message.name}`;
      const indexes = [...above, index];
      found.push({ localName, indexes, fullName: message.fullName });
      visit(message, `${localName}.`, indexes);
    });
  };
  const top = ownPackage === undefined ? root : root.lookup(ownPackage);
  if (top instanceof protobuf.Namespace) visit(top, '', []);
  return found;
}

function convertMessage(
  type: protobuf.Type,
  known: Map<protobuf.Type, ProtoMessage>,
): ProtoMessage {
  const seen = known.get(type);
  if (seen !== undefined) return seen;
  const fields: ProtoField[] = [];
  const made: ProtoMessage = { kind: 'message', name: type.fullName.slice(1), fields };
  known.set(type, made);
  for (const field of type.fieldsArray) {
    if (field.delimited) throw new Error(`field '${field.name}' is a group`);
    const isMap = field instanceof protobuf.MapField;
    const { partOf } = field;
    const isSynthetic = partOf !== null && field.getOption('proto3_optional') === true;
    fields.push({
      name: field.name,
      number: field.id,
      type: convertType(field, known),
      shape: isMap ? 'map' : field.repeated ? 'repeated' : 'single',
      mapKey: isMap ? (field.keyType as ProtoScalar) : undefined,
      isPacked: field.packed,
      hasPresence:
        partOf !== null || field.hasPresence || field.resolvedType instanceof protobuf.Type,
      isRequired: field.required,
      oneof: partOf === null || isSynthetic ? undefined : partOf.name,
    });
  }
  return made;
}

function convertType(field: protobuf.Field, known: Map<protobuf.Type, ProtoMessage>): ProtoType {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Enum) {
    const names = new Map<number, string>();
    const numbers = new Map(Object.entries(resolvedType.values));
    for (const [name, number] of numbers) if (!names.has(number)) names.set(number, name);
    return { kind: 'enum', name: resolvedType.fullName.slice(1), names, numbers };
  }
  if (resolvedType instanceof protobuf.Type) {
    return resolvedType.fullName === TIMESTAMP
      ? { kind: 'timestamp' }
      : convertMessage(resolvedType, known);
  }
  return { kind: field.type as ProtoScalar };
}
