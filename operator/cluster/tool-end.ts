/** How Jobs that run a tool end. Pure types. */

export interface JobEnd {
  readonly isComplete: boolean
  /** RFC 3339. */
  readonly at: string
  /** Kubernetes' words, of one that failed. */
  readonly reason: string
  readonly message: string
}

export interface ToolPod {
  readonly name: string
  readonly createdAt: string
  /** All of its containers have ended, and none is started again. */
  readonly isOver: boolean
  /** Its container ended with exit code 0. */
  readonly isSuccess: boolean
  /** What its container ended with; empty while it runs. */
  readonly message: string
  /** Why it does not run, or how it failed, as far as Kubernetes says. */
  readonly trouble: string | undefined
  /** Undefined while it has none. */
  readonly ip: string | undefined
}
