/**
 * How requests of clients are decoded, at the API and again at apply: with one bound on their nesting. A txn may hold
 * txns, and what decodes, checks and executes it goes down with them, so without a bound the depth at which the stack ends
 * would decide, and that is another one on each member. The bound is far below that, and above what etcd's default of 128
 * operations lets through (each inner txn costs its outer ones an operation).
 */
import { BinaryReader } from '@bufbuild/protobuf/wire'

/** Messages inside of one another. A txn in a txn takes two: the operation that holds it, and itself. */
export const MAX_MESSAGE_DEPTH = 300
/** The generated decoders count in a property of the reader and stop here. */
const GENERATED_MAX_DEPTH = 100

/** Decoders that are given one throw for a message that is deeper. */
export class RequestReader extends BinaryReader {
  // The name is the generated code's; it begins below zero, so that there are more steps to the end.
  __tsProtoDecodeDepth = GENERATED_MAX_DEPTH - MAX_MESSAGE_DEPTH
}

/** Whether a decoder threw this because the message, or a group of unknown fields in it, is too deep. */
export function isTooDeep(error: unknown): boolean {
  return error instanceof Error && /recursion (limit exceeded|depth reached)/.test(error.message)
}
