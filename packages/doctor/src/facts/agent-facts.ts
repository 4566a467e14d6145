/** Of the agent's own status, what may hurt: `GET /status` has these fields. */
export interface AgentFacts {
  readonly kubernetes: {
    readonly state: string;
    readonly server: string;
    readonly lastError: string | undefined;
    /** How far this node's clock is ahead of the server's. */
    readonly clockAheadMs: number | undefined;
  };
  readonly cni: { readonly state: string; readonly why: string | undefined };
  readonly modules: readonly { readonly name: string; readonly state: string; readonly why: string | undefined }[];
  readonly controllers: {
    readonly list: readonly {
      readonly name: string;
      readonly consecutiveFailures: number;
      readonly lastError: string | undefined;
    }[];
  };
  readonly nodes: readonly { readonly name: string; readonly state: string; readonly why: string | undefined }[];
}
