/**
 * In who is taken for a peer, by which connection it is reached, and how its frames are put together. The tests beside the transport
 * must notice each.
 */
import type { Mutant } from './plant.ts'

const TRANSPORT = 'node-server/transport'

export const PEER_IDENTITY_MUTANTS: readonly Mutant[] = [
  {
    name: 'peers: any certificate of the CA is that of any member',
    file: `${TRANSPORT}/identity.ts`,
    find: 'if (hosts.some((host) => isFor(certificate, host))) return undefined',
    replace: 'if (hosts.length > 0) return undefined',
  },
  {
    name: 'peers: who came before it was known is not asked for its certificate afterwards',
    file: `${TRANSPORT}/transport.ts`,
    find: "if (this.#isImpostor(caller)) connection.close('its certificate is not that of the member')",
    replace: 'if (this.#isImpostor(caller)) continue',
  },
  {
    name: 'peers: a record that changes counts when the connection is lost only',
    file: `${TRANSPORT}/peer.ts`,
    find: '    if (!this.#isWellConnected) this.#needed.resolve()\n',
    replace: '',
  },
  {
    name: 'peers: a connection whose place another takes is cut',
    file: `${TRANSPORT}/peer.ts`,
    find: '    this.#endIfIdle(connection)\n  }',
    replace: "    connection.close('another takes its place')\n  }",
  },
]

export const FRAME_MUTANTS: readonly Mutant[] = [
  {
    name: 'frames: of one that comes in pieces only the last piece is checked',
    file: `${TRANSPORT}/frame.ts`,
    find: 'this.#bodySizeBytes), this.#bodyCrc)',
    replace: 'this.#bodySizeBytes))',
  },
  {
    name: 'frames: the next one is checked together with the one before',
    file: `${TRANSPORT}/frame.ts`,
    find: '    this.#bodyCrc = 0\n    return frame',
    replace: '    return frame',
  },
  {
    name: 'frames: how long one may be is not asked where its header comes in pieces',
    file: `${TRANSPORT}/frame.ts`,
    find: 'this.#lengthBytes = this.#lengthIn(this.#header, 0)',
    replace: 'this.#lengthBytes = this.#header.readUInt32BE(0)',
  },
  {
    name: 'frames: memory is taken for all that is announced',
    file: `${TRANSPORT}/frame.ts`,
    find: 'Math.min(this.#lengthBytes, FIRST_SIZE_BYTES)',
    replace: 'this.#lengthBytes',
  },
]

export const DISCARD_MUTANTS: readonly Mutant[] = [
  {
    name: 'frames: what they lie in is given back with them',
    file: `${TRANSPORT}/connection.ts`,
    find: 'if (frames.every(({ payload }) => payload.buffer !== chunk.buffer)) discard(chunk)',
    replace: 'discard(chunk)',
  },
  {
    name: 'frames: memory that others have parts of is given back',
    file: 'lib/bytes.ts',
    find: ' && buffer.byteLength === byteLength) buffer.transfer(0)',
    replace: ') buffer.transfer(0)',
  },
]

export const PEER_SECRET_MUTANTS: readonly Mutant[] = [
  {
    name: 'peers: a proof counts for every challenge',
    file: `${TRANSPORT}/secret.ts`,
    find: '.update(listenerNonce).update(dialerNonce)',
    replace: '.update(dialerNonce)',
  },
  {
    name: 'peers: what a dialer shows can be shown to it',
    file: `${TRANSPORT}/secret.ts`,
    find: 'u8(SHOWN[what])',
    replace: 'u8(SHOWN.proof)',
  },
  {
    name: 'peers: who does not ask for the secret is taken for a peer',
    file: `${TRANSPORT}/connection.ts`,
    find: '    if (!this.#secrets.isRequired) return undefined\n    if (this.#exchange',
    replace:
      '    if (!this.#secrets.isRequired || this.#exchange === undefined) return undefined\n    if (this.#exchange',
  },
  {
    name: 'peers: anybody is believed that a member was removed',
    file: `${TRANSPORT}/connection.ts`,
    find: 'const doubt = prover?.doubtOf(reason, frame.payload.subarray(1))',
    replace: 'const doubt = undefined',
  },
  {
    name: 'peers: a hello without the secret is enough where it is required',
    file: `${TRANSPORT}/transport.ts`,
    find: "    if (isRequired) refuse(arrival, 'secret')\n    else this.#admit(arrival, hello)",
    replace: '    this.#admit(arrival, hello)',
  },
  {
    name: 'peers: the time to say who one is ends with the first frame',
    file: `${TRANSPORT}/transport.ts`,
    find: '    const hello = decodeHello(frame.payload)\n',
    replace: '    arrival.welcomed()\n    const hello = decodeHello(frame.payload)\n',
  },
]
