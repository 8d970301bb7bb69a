/** Sends messages to the other members, once there is a transport. Requests for a snapshot become streams of their own. */
import type { MemberId } from '../../../lib/ids.ts'
import { err, type Result } from '../../../lib/result.ts'
import type { Member } from '../../mvcc/command.ts'
import type { Message } from '../../raft/message.ts'
import type { SendingWatcher, StoreFiles } from '../maintenance/store-files.ts'
import type { PeerTransport, SnapshotMessage } from '../../transport/transport.ts'

export interface PeersParts {
  readonly files: () => StoreFiles
  readonly onSnapshotRequest: (message: SnapshotMessage) => void
  readonly onSnapshotSent: (to: MemberId, result: Result<void, string>) => void
}

export class Peers {
  readonly #parts: PeersParts
  #transport: PeerTransport | undefined

  constructor(parts: PeersParts) {
    this.#parts = parts
  }

  open(transport: PeerTransport): void {
    this.#transport = transport
  }

  set(members: readonly Member[]): void {
    this.#transport?.setPeers(new Map(members.map(({ id, peerURLs }) => [id, peerURLs])))
  }

  /** Whether it can receive forwarded proposals. */
  takesProposals(leader: MemberId): boolean {
    return this.#transport?.takesProposals(leader) ?? false
  }

  /** By the monotonic clock; undefined while there is no connection. */
  connectedSinceMs(peer: MemberId): number | undefined {
    return this.#transport?.stats(peer).connectedSinceMs
  }

  send(messages: readonly Message[]): void {
    if (messages.some((message) => message.kind === 'snapshot-request')) {
      this.#transport?.send(messages.filter((message) => message.kind !== 'snapshot-request'))
      for (const message of messages) if (message.kind === 'snapshot-request') this.#parts.onSnapshotRequest(message)
    } else this.#transport?.send(messages)
  }

  sendSnapshot(message: SnapshotMessage, watcher: SendingWatcher): void {
    const transport = this.#transport
    if (transport === undefined) return
    const onSent = (result: Result<void, string>): void => this.#parts.onSnapshotSent(message.to, result)
    const sent = this.#parts.files().send(transport, message, watcher)
    sent.then(onSent, (error: unknown) => onSent(err(String(error))))
  }

  async close(): Promise<void> {
    await this.#transport?.close()
  }
}
