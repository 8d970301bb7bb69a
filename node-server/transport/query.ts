/** Questions to members by those who are none themselves (yet). */
import { ByteWriter } from '../../lib/bytes.ts'
import { ClusterId, NOBODY } from '../../lib/ids.ts'
import { err, type Result } from '../../lib/result.ts'
import { openDialer } from '../tls/dialer.ts'
import type { TlsOptions } from '../tls/options.ts'
import { dial, type PeerDialer } from './connection.ts'
import { FRAME, PROTOCOL_VERSION, encodeFrame, type Hello } from './frame.ts'
import type { TransportLog } from './listener.ts'
import type { PeerSecrets } from './peer-secrets.ts'

/** Throws when the files are of no use. */
export function peerDialer(tls: TlsOptions | undefined, log: TransportLog, secrets?: PeerSecrets): PeerDialer {
  if (tls === undefined) return { tls: undefined, secrets }
  const dialer = openDialer(tls, log)
  if (!dialer.ok) throw new Error(dialer.error)
  return { tls: dialer.value, secrets }
}

/** Asks a member by its peer URL, without being one: how a new member learns of the cluster. */
export async function query(
  url: string,
  payload: Uint8Array,
  timeoutMs: number,
  dialer?: PeerDialer,
): Promise<Result<Buffer, string>> {
  const hello: Hello = {
    version: PROTOCOL_VERSION,
    clusterId: ClusterId(0n),
    from: NOBODY,
    to: NOBODY,
    purpose: 'query',
    peerURLs: [],
  }
  const dialled = await dial(url, hello, dialer)
  if (!dialled.ok) return err(dialled.error.kind === 'refused' ? dialled.error.reason : dialled.error.message)
  const connection = dialled.value
  const answer = await new Promise<Result<Buffer, string>>((resolve) => {
    const timer = setTimeout(() => connection.close(`no answer within ${timeoutMs} ms`), timeoutMs)
    connection.handlers = {
      onFrame: (frame) => {
        if (frame.type === FRAME.response) resolve({ ok: true, value: frame.payload.subarray(8) })
      },
      onClose: (reason) => {
        clearTimeout(timer)
        resolve(err(reason))
      },
    }
    connection.write(encodeFrame(FRAME.request, new ByteWriter(payload.length + 8).u53(1).raw(payload).finish()))
  })
  connection.close('done')
  return answer
}
