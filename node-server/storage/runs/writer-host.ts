/** A writer behind messages: the same in a thread and, for the simulation, in the thread of the reader. */
import { unreachable } from '../../../lib/assert.ts'
import type { RunSizes } from '../../limits.ts'
import type { StoreDamaged } from '../../mvcc/backend.ts'
import type { Disk } from '../disk.ts'
import { encodeManifest, type Manifest } from './manifest.ts'
import { Writer, type WriterPorts } from './writer.ts'
import { failureOf, type FromWriter, type ToWriter } from './writer-messages.ts'

export interface WriterHost {
  readonly receive: (message: ToWriter) => void
  /** As `Writer.scrub`; rejects when there is no writer. */
  readonly scrub: () => Promise<boolean>
}

/** `send` is called with `started` or `failed` once. */
export function hostWriter(
  disk: Disk,
  directory: string,
  sizes: RunSizes,
  { giveWay, mergeRoomBytes }: Pick<WriterPorts, 'giveWay' | 'mergeRoomBytes'>,
  send: (message: FromWriter) => void,
): WriterHost {
  const onInstalled = (manifest: Manifest): void => send({ kind: 'installed', manifest: encodeManifest(manifest) })
  const onDamaged = (damage: StoreDamaged): void => send({ kind: 'failed', id: undefined, failure: failureOf(damage) })
  const opening = Writer.open(
    disk,
    directory,
    { giveWay, ...(mergeRoomBytes && { mergeRoomBytes }), onInstalled, onDamaged },
    sizes,
  )
  opening.then(
    () => send({ kind: 'started' }),
    (error: unknown) => send({ kind: 'failed', id: undefined, failure: failureOf(error) }),
  )
  const answer = (id: number, done: Promise<void>): void => {
    done.then(
      () => send({ kind: 'done', id }),
      (error: unknown) => send({ kind: 'failed', id, failure: failureOf(error) }),
    )
  }
  const pieces: Uint8Array[] = []
  const receive = async (message: ToWriter): Promise<void> => {
    const writer = await opening
    switch (message.kind) {
      case 'rows':
        pieces.push(message.rows)
        return undefined
      case 'commit':
        return answer(message.id, writer.commit(pieces.splice(0), message.removalsFollow))
      case 'defragment':
        return answer(message.id, writer.defragment())
      case 'opened':
        return writer.noteOpened(message.number)
      case 'close':
        return answer(message.id, writer.close())
      default:
        return unreachable(message)
    }
  }
  return {
    receive: (message) => void receive(message).catch(() => undefined),
    scrub: async () => (await opening).scrub(),
  }
}
