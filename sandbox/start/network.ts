/**
 * Which 127.N.0.0/16 the pods get: the one of the last run where it is free, another where a second sandbox has it. Who
 * listens on the kubelet's port of a network has it.
 */
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Network } from '../kubelet/addresses.ts'
import { addressOf } from '../kubelet/addresses.ts'
import { KUBELET_PORT } from '../kubelet/kubelet.ts'
import { replaceFile } from '../kubelet/replace-file.ts'

const FIRST = 77
const LAST = 126

export interface ClaimedNetwork {
  readonly network: Network
  /** The kubelet's, which listens already. */
  readonly server: Server
}

/** `path` remembers the choice. The error is for the user. */
export async function claimNetwork(path: string): Promise<Result<ClaimedNetwork, string>> {
  const remembered = recall(path)
  const all = Array.from({ length: LAST - FIRST + 1 }, (_, at) => FIRST + at)
  const candidates = remembered === undefined ? all : [remembered, ...all.filter((octet) => octet !== remembered)]
  for (const octet of candidates) {
    const address = addressOf({ octet }, 1)
    const server = createServer()
    const problem = await listen(server, address)
    if (problem === 'EADDRNOTAVAIL') {
      return err(
        `this system has no address ${address}: pods need loopback addresses of their own, which Linux has and macOS ` +
          'has not. Run it in a Linux container or virtual machine.',
      )
    }
    if (problem !== undefined) continue
    replaceFile(path, JSON.stringify({ octet }))
    return ok({ network: { octet }, server })
  }
  return err(`port ${KUBELET_PORT} is taken on every address from 127.${FIRST}.0.1 to 127.${LAST}.0.1`)
}

function recall(path: string): number | undefined {
  try {
    const stored: unknown = JSON.parse(readFileSync(path, 'utf8'))
    const octet = typeof stored === 'object' && stored !== null && 'octet' in stored ? stored.octet : undefined
    return typeof octet === 'number' && octet >= FIRST && octet <= LAST ? octet : undefined
  } catch {
    return undefined
  }
}

/** The error's code; undefined when it listens. */
async function listen(server: Server, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port: KUBELET_PORT }, () => resolve(undefined))
  })
}
