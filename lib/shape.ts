/**
 * What JSON from a disk or a peer must look like: a shape for each type, which reads a value of that type out of whatever
 * was parsed, or throws {@link Misshapen}. Fields that it does not name are left out: a newer version may have more.
 */
export type Shape<Value> = (found: unknown, path: string) => Value

export class Misshapen extends Error {
  override readonly name = 'Misshapen'

  constructor(path: string, expected: string) {
    super(path === '' ? expected : `${path}: ${expected}`)
  }
}

type ValueOf<S> = S extends Shape<infer Value> ? Value : never
type Shapes = Readonly<Record<string, Shape<unknown>>>

export const text: Shape<string> = (found, path) => {
  if (typeof found !== 'string') throw new Misshapen(path, 'not a string')
  return found
}

export const boolean: Shape<boolean> = (found, path) => {
  if (typeof found !== 'boolean') throw new Misshapen(path, 'not true or false')
  return found
}

/** Safe, and not below the least there is. */
export const integer =
  (least = Number.MIN_SAFE_INTEGER): Shape<number> =>
  (found, path) => {
    if (typeof found !== 'number' || !Number.isSafeInteger(found)) throw new Misshapen(path, 'not an integer')
    if (found < least) throw new Misshapen(path, `below ${least}`)
    return found
  }

export const textThat =
  (isSo: (text: string) => boolean, expected: string): Shape<string> =>
  (found, path) => {
    const value = text(found, path)
    if (!isSo(value)) throw new Misshapen(path, expected)
    return value
  }

export const matching = (pattern: RegExp): Shape<string> => textThat((text) => pattern.test(text), `not ${pattern}`)

export const oneOf =
  <Value extends string | boolean>(...values: readonly Value[]): Shape<Value> =>
  (found, path) => {
    const value = values.find((each) => each === found)
    if (value === undefined) throw new Misshapen(path, `not one of ${values.join(', ')}`)
    return value
  }

export const list =
  <Value>(item: Shape<Value>, { least = 0, most = Infinity } = {}): Shape<Value[]> =>
  (found, path) => {
    if (!Array.isArray(found)) throw new Misshapen(path, 'not a list')
    if (found.length < least || found.length > most) throw new Misshapen(path, `a list of ${found.length}`)
    return found.map((each, i) => item(each, `${path}[${i}]`))
  }

/** Undefined for what is not there; the field is there all the same. */
export const orUndefined =
  <Value>(shape: Shape<Value>): Shape<Value | undefined> =>
  (found, path) =>
    found === undefined ? undefined : shape(found, path)

export const mapped =
  <From, To>(shape: Shape<From>, map: (value: From) => To): Shape<To> =>
  (found, path) =>
    map(shape(found, path))

type ObjectOf<Fields extends Shapes, Optional extends Shapes> = { [K in keyof Fields]: ValueOf<Fields[K]> } & {
  [K in keyof Optional]?: ValueOf<Optional[K]>
}

/** The optional fields are there only where they were found. */
export function object<Fields extends Shapes, Optional extends Shapes = Readonly<Record<string, never>>>(
  fields: Fields,
  optional?: Optional,
): Shape<ObjectOf<Fields, Optional>> {
  return (found, path) => {
    if (typeof found !== 'object' || found === null || Array.isArray(found)) throw new Misshapen(path, 'not an object')
    const record = new Map(Object.entries(found))
    const below = (name: string): string => (path === '' ? name : `${path}.${name}`)
    const read = Object.entries(fields).map(([name, shape]) => [name, shape(record.get(name), below(name))])
    const extra = Object.entries(optional ?? {}).flatMap(([name, shape]) =>
      record.has(name) ? [[name, shape(record.get(name), below(name))]] : [],
    )
    return Object.fromEntries([...read, ...extra]) as ObjectOf<Fields, Optional>
  }
}

/** The first that fits; when none does, what was wrong with each. */
export const either =
  <Values extends readonly unknown[]>(...shapes: { [I in keyof Values]: Shape<Values[I]> }): Shape<Values[number]> =>
  (found, path) => {
    const wrong: string[] = []
    for (const shape of shapes) {
      try {
        return shape(found, path)
      } catch (error) {
        if (!(error instanceof Misshapen)) throw error
        wrong.push(error.message)
      }
    }
    throw new Misshapen(path, wrong.join(', or '))
  }

/** Throws {@link Misshapen}, and SyntaxError for what is no JSON. */
export function readJson<Value>(shape: Shape<Value>, bytes: Uint8Array): Value {
  return shape(JSON.parse(Buffer.from(bytes).toString('utf8')), '')
}
