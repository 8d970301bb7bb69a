/**
 * The sandbox as a whole: API server, controllers and kubelet in this process, everything else as pods. Starting it is
 * this order; stopping it is the reverse.
 */
import type { Logger } from 'pino'
import { systemClock } from '../../lib/system-clock.ts'
import { connect, type ApiClient } from '../client/client.ts'
import { Mirrors } from '../client/mirrors.ts'
import { startControllers } from '../controllers/start.ts'
import type { Images } from '../kubelet/images.ts'
import { Kubelet } from '../kubelet/kubelet.ts'
import type { ClaimedNetwork } from './network.ts'

const NODE_NAME = 'sandbox'

export interface BoxOptions {
  readonly url: string
  readonly token: string
  /** PEM; undefined over plain HTTP. */
  readonly ca: string | undefined
  readonly logger: Logger
  readonly network: ClaimedNetwork
  readonly images: Images
  readonly volumesDirectory: string
  readonly kubeletDirectory: string
  /** Processes get these variables too. */
  readonly variables: Readonly<Record<string, string>>
  /** Pods of this namespace stop before all others. */
  readonly stopFirst: string
  readonly onFatal: (error: Error) => void
}

export interface Box {
  readonly client: ApiClient
  readonly mirrors: Mirrors
  /** SIGKILL to the processes of a pod; false when there are none. */
  kill(namespace: string, pod: string): boolean
  stop(graceMs: number): Promise<void>
}

export async function startBox(options: BoxOptions): Promise<Box> {
  const { logger, onFatal } = options
  const connection = connect(options)
  const { client } = connection
  const mirrors = new Mirrors({ client, clock: systemClock, onProblem: (message) => logger.warn(message) })
  const controllers = await startControllers({
    client,
    mirrors,
    logger,
    onFatal,
    volumesDirectory: options.volumesDirectory,
  })
  const kubelet = new Kubelet({
    client,
    mirrors,
    logger,
    nodeName: NODE_NAME,
    network: options.network.network,
    server: options.network.server,
    images: options.images,
    directory: options.kubeletDirectory,
    variables: options.variables,
    stopFirst: options.stopFirst,
  })
  await kubelet.start()
  return {
    client,
    mirrors,
    kill: (namespace, pod) => kubelet.kill(namespace, pod),
    stop: async (graceMs) => {
      await kubelet.stop(graceMs)
      await controllers.stop()
      await mirrors.stop()
      await connection.close()
    },
  }
}
