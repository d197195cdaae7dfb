/**
 * Source text of a generated function: lines, fresh variable names, and names of users quoted so
 * that no schema can inject code. It must never receive user text except through `quote`.
 */

/** A string literal of JavaScript; JSON's escapes are all valid in one. */
export function quote(name: string): string {
  return JSON.stringify(name);
}

/** An expression that reads a field; names that every object inherits count only when own. */
export function readField(object: string, name: string): string {
  const read = `${object}[${quote(name)}]`;
  return name in Object.prototype
    ? `(Object.hasOwn(${object}, ${quote(name)}) ? ${read} : undefined)`
    : read;
}

export class GeneratedSource {
  private readonly lines: string[] = [];
  private names = 0;

  fresh(prefix: string): string {
    return `${prefix}${String(this.names++)}`;
  }

  line(text: string): void {
    this.lines.push(text);
  }

  toString(): string {
    return this.lines.join('\n');
  }
}
