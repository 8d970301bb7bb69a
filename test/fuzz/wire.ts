/** Arbitrary bytes in the form of protobuf messages: every wire type, nested, with the numbers at which integers break. */
import * as fc from 'fast-check'

const EXTREMES = [
  0n,
  1n,
  -1n,
  2n ** 31n,
  -(2n ** 31n),
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  -(2n ** 53n),
  2n ** 63n - 1n,
  -(2n ** 63n),
] as const

export function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

export const int64: fc.Arbitrary<bigint> = fc.oneof(
  fc.constantFrom(...EXTREMES),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -3n, max: 40n }),
)

export const tag = (field: number, wireType: number): Buffer => varint(BigInt(field * 8 + wireType))

export function lengthDelimited(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([tag(field, 2), varint(BigInt(bytes.length)), bytes])
}

/** Field numbers that etcd's requests use, most of all the small ones. */
const fieldNumber = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 8 }) }, fc.integer({ min: 9, max: 15 }))
/** A few keys, so that requests meet each other's. */
export const shortBytes = fc.oneof(
  fc.constantFrom('a', 'b', 'c', '\0', 'aa').map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
)

/** A message that parses: fields of any number and type. */
export const message: fc.Arbitrary<Buffer> = fc.letrec<{ message: Buffer; field: Buffer }>((tie) => ({
  message: fc.array(tie('field'), { maxLength: 8, depthIdentifier: 'wire' }).map((fields) => Buffer.concat(fields)),
  field: fc.oneof(
    { depthIdentifier: 'wire', depthSize: 'small' },
    fc.tuple(fieldNumber, int64).map(([field, value]) => Buffer.concat([tag(field, 0), varint(value)])),
    fc.tuple(fieldNumber, shortBytes).map(([field, bytes]) => lengthDelimited(field, bytes)),
    fc.tuple(fieldNumber, fc.uint8Array({ minLength: 8, maxLength: 8 })).map(([field, bytes]) => {
      return Buffer.concat([tag(field, 1), bytes])
    }),
    fc.tuple(fieldNumber, tie('message')).map(([field, inner]) => lengthDelimited(field, inner)),
    fc.tuple(fieldNumber, tie('message')).map(([field, inner]) => {
      return Buffer.concat([tag(field, 3), inner, tag(field, 4)])
    }),
  ),
})).message

export interface Mutation {
  readonly cutAt: number | undefined
  readonly flips: readonly { readonly at: number; readonly bit: number }[]
}

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  cutAt: fc.option(fc.nat(400), { nil: undefined, freq: 3 }),
  flips: fc.array(fc.record({ at: fc.nat(400), bit: fc.nat(7) }), { maxLength: 4 }),
})

/** A copy, cut off and with bits flipped; equal to the input for about a fifth of the mutations. */
export function mutate(bytes: Uint8Array, { cutAt, flips }: Mutation): Buffer {
  const copy = Buffer.from(bytes)
  for (const { at, bit } of flips) {
    const place = copy.length === 0 ? undefined : at % copy.length
    if (place !== undefined) copy[place] = (copy[place] ?? 0) ^ (1 << bit)
  }
  return cutAt === undefined ? copy : copy.subarray(0, cutAt)
}

/** What comes over the wire: messages, damaged messages, and noise. */
export const bytes: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 4, arbitrary: message },
  { weight: 3, arbitrary: fc.tuple(message, mutation).map(([whole, change]) => mutate(whole, change)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((noise) => Buffer.from(noise)) },
)
