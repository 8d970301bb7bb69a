/**
 * Raft messages as bytes, several in one frame.
 *
 *   batch:    count (4) ‖ message ‖ message ‖ …
 *   message:  kind (1) ‖ from (8) ‖ to (8) ‖ term (8) ‖ fields of its kind, in the order of raft/message.ts
 *   entry:    term (8) ‖ index (8) ‖ kind (1) ‖ data length (4) ‖ data
 *   list:     count (4) ‖ items
 *
 * Integers are big-endian. Entry data that is decoded shares memory with the input.
 */
import { unreachable } from '../../lib/assert.ts'
import { ByteReader, ByteWriter, copiedSizeBytes, MalformedBytes } from '../../lib/bytes.ts'
import { LogIndex, MemberId, Term } from '../../lib/ids.ts'
import {
  entrySizeBytes,
  type Configuration,
  type Entry,
  type EntryKind,
  type Message,
  type MessageKind,
  type ProposedEntry,
  type SnapshotMeta,
} from '../raft/message.ts'
import { FRAME, beginFrame, endFrame } from './frame.ts'

const KINDS = [
  'vote-request',
  'vote-response',
  'pre-vote-request',
  'pre-vote-response',
  'append-request',
  'append-response',
  'heartbeat-request',
  'heartbeat-response',
  'snapshot-request',
  'transfer-leader-request',
  'timeout-now-request',
  'propose-request',
  'read-index-request',
  'read-index-response',
] as const satisfies readonly MessageKind[]

const KIND_CODES: ReadonlyMap<MessageKind, number> = new Map(KINDS.map((kind, i) => [kind, i + 1]))

export function encodeMessages(messages: readonly Message[]): Buffer {
  return Buffer.concat(writeMessages(new ByteWriter(copiedOf(messages)), messages).parts())
}

/** Several messages as one frame, in parts: large entries are among them, as they lie. */
export function encodeMessagesFrame(messages: readonly Message[]): readonly Buffer[] {
  return endFrame(writeMessages(beginFrame(FRAME.messages, copiedOf(messages)), messages))
}

function writeMessages(writer: ByteWriter, messages: readonly Message[]): ByteWriter {
  writer.u32(messages.length)
  for (const message of messages) writeMessage(writer, message)
  return writer
}

/** Roughly what of them is copied: the writer grows when it is more. */
function copiedOf(messages: readonly Message[]): number {
  let sizeBytes = COUNT_SIZE_BYTES
  for (const message of messages) {
    sizeBytes += messageSizeBytes(message)
    if ('entries' in message) for (const { data } of message.entries) sizeBytes -= data.length - copiedSizeBytes(data)
  }
  return sizeBytes
}

const COUNT_SIZE_BYTES = 4
/** Beside the flag that an append was rejected. */
const NEEDS_SNAPSHOT = 2
/** Of a message without its lists. */
const MAX_HEAD_SIZE_BYTES = 80

/** As bytes it is no longer than this; not much shorter when it has entries. */
export function messageSizeBytes(message: Message): number {
  switch (message.kind) {
    case 'append-request':
    case 'propose-request': {
      let sizeBytes = MAX_HEAD_SIZE_BYTES
      for (const entry of message.entries) sizeBytes += entrySizeBytes(entry)
      return sizeBytes
    }
    case 'snapshot-request': {
      const { voters, votersOutgoing, learners, learnersNext } = message.snapshot.configuration
      return MAX_HEAD_SIZE_BYTES + 8 * (voters.length + votersOutgoing.length + learners.length + learnersNext.length)
    }
    default:
      return MAX_HEAD_SIZE_BYTES
  }
}

function writeMessage(writer: ByteWriter, message: Message): void {
  writer
    .u8(KIND_CODES.get(message.kind) ?? 0)
    .u64(message.from)
    .u64(message.to)
    .u53(message.term)
  switch (message.kind) {
    case 'vote-request':
      writer.u53(message.lastIndex).u53(message.lastTerm).u8(Number(message.isTransfer))
      return
    case 'pre-vote-request':
      writer.u53(message.lastIndex).u53(message.lastTerm)
      return
    case 'vote-response':
    case 'pre-vote-response':
      writer.u8(Number(message.isGranted))
      return
    case 'append-request':
      writer.u53(message.prevIndex).u53(message.prevTerm).u53(message.commit).u32(message.entries.length)
      for (const entry of message.entries) writeEntry(writer, entry)
      return
    case 'append-response':
      writer
        .u8(Number(message.isRejected) | (message.needsSnapshot ? NEEDS_SNAPSHOT : 0))
        .u53(message.index)
        .u53(message.hintIndex)
        .u53(message.hintTerm)
      return
    case 'heartbeat-request':
      writer.u53(message.commit).u53(message.readBatch)
      return
    case 'heartbeat-response':
      writer.u53(message.readBatch)
      return
    case 'snapshot-request':
      writeSnapshotMeta(writer, message.snapshot)
      return
    case 'transfer-leader-request':
      writer.u64(message.target)
      return
    case 'timeout-now-request':
      return
    case 'propose-request':
      writer.u32(message.entries.length)
      for (const entry of message.entries) writer.u8(Number(entry.kind === 'config')).sharedBytes(entry.data)
      return
    case 'read-index-request':
      writer.u53(message.requestId)
      return
    case 'read-index-response':
      writer.u53(message.requestId).u53(message.index)
      return
    default:
      unreachable(message)
  }
}

/** Throws MalformedBytes. */
export function decodeMessages(bytes: Uint8Array): Message[] {
  const reader = new ByteReader(bytes)
  const messages = readList(reader, 25, readMessage)
  reader.end()
  return messages
}

function readMessage(reader: ByteReader): Message {
  const code = reader.u8()
  const kind = KINDS[code - 1]
  if (kind === undefined) throw new MalformedBytes(`there is no message of kind ${code}`)
  const envelope = { from: MemberId(reader.u64()), to: MemberId(reader.u64()), term: Term(reader.u53()) }
  const index = (): LogIndex => LogIndex(reader.u53())
  const term = (): Term => Term(reader.u53())
  switch (kind) {
    case 'vote-request':
      return { kind, ...envelope, lastIndex: index(), lastTerm: term(), isTransfer: readFlag(reader) }
    case 'pre-vote-request':
      return { kind, ...envelope, lastIndex: index(), lastTerm: term() }
    case 'vote-response':
    case 'pre-vote-response':
      return { kind, ...envelope, isGranted: readFlag(reader) }
    case 'append-request': {
      const head = { prevIndex: index(), prevTerm: term(), commit: index() }
      const entries = readList(reader, 21, readEntry)
      entries.forEach((entry, i) => {
        if (entry.index !== head.prevIndex + i + 1)
          throw new MalformedBytes(`entry ${entry.index} does not follow ${head.prevIndex + i}`)
      })
      return { kind, ...envelope, ...head, entries }
    }
    case 'append-response': {
      const flags = reader.u8()
      if (flags > (1 | NEEDS_SNAPSHOT)) throw new MalformedBytes(`an answer with the flags ${flags}`)
      const said = { isRejected: (flags & 1) !== 0, needsSnapshot: (flags & NEEDS_SNAPSHOT) !== 0 }
      return { kind, ...envelope, ...said, index: index(), hintIndex: index(), hintTerm: term() }
    }
    case 'heartbeat-request':
      return { kind, ...envelope, commit: index(), readBatch: reader.u53() }
    case 'heartbeat-response':
      return { kind, ...envelope, readBatch: reader.u53() }
    case 'snapshot-request':
      return { kind, ...envelope, snapshot: readSnapshotMeta(reader) }
    case 'transfer-leader-request':
      return { kind, ...envelope, target: MemberId(reader.u64()) }
    case 'timeout-now-request':
      return { kind, ...envelope }
    case 'propose-request':
      return { kind, ...envelope, entries: readList(reader, 5, readProposed) }
    case 'read-index-request':
      return { kind, ...envelope, requestId: reader.u53() }
    case 'read-index-response':
      return { kind, ...envelope, requestId: reader.u53(), index: index() }
    default:
      return unreachable(kind)
  }
}

function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer
    .u53(entry.term)
    .u53(entry.index)
    .u8(Number(entry.kind === 'config'))
    .sharedBytes(entry.data)
}

function readEntry(reader: ByteReader): Entry {
  return { term: Term(reader.u53()), index: LogIndex(reader.u53()), kind: readEntryKind(reader), data: reader.bytes() }
}

function readProposed(reader: ByteReader): ProposedEntry {
  return { kind: readEntryKind(reader), data: reader.bytes() }
}

function readEntryKind(reader: ByteReader): EntryKind {
  return readFlag(reader) ? 'config' : 'normal'
}

export function writeSnapshotMeta(writer: ByteWriter, meta: SnapshotMeta): void {
  const { configuration } = meta
  writer.u53(meta.index).u53(meta.term).u53(meta.configIndex).u8(Number(configuration.autoLeave))
  for (const ids of [
    configuration.voters,
    configuration.votersOutgoing,
    configuration.learners,
    configuration.learnersNext,
  ]) {
    writer.u32(ids.length)
    for (const id of ids) writer.u64(id)
  }
}

export function readSnapshotMeta(reader: ByteReader): SnapshotMeta {
  const head = { index: LogIndex(reader.u53()), term: Term(reader.u53()), configIndex: LogIndex(reader.u53()) }
  const autoLeave = readFlag(reader)
  const ids = (): MemberId[] => readList(reader, 8, () => MemberId(reader.u64()))
  const configuration: Configuration = {
    voters: ids(),
    votersOutgoing: ids(),
    learners: ids(),
    learnersNext: ids(),
    autoLeave,
  }
  return { ...head, configuration }
}

/** A damaged count cannot ask for more memory than the input has bytes. */
function readList<Item>(reader: ByteReader, minItemSizeBytes: number, readItem: (reader: ByteReader) => Item): Item[] {
  const count = reader.u32()
  if (count * minItemSizeBytes > reader.remainingBytes)
    throw new MalformedBytes(`${count} items do not fit the rest of the input`)
  const items: Item[] = []
  for (let i = 0; i < count; i++) items.push(readItem(reader))
  return items
}

function readFlag(reader: ByteReader): boolean {
  const value = reader.u8()
  if (value > 1) throw new MalformedBytes(`${value} is not a flag`)
  return value === 1
}
