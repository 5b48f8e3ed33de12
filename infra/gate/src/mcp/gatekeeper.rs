//! Passes messages between a client and the server, and holds the calls that the policy gates.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::answer;
use super::call::Call;
use super::context::Context;
use super::conversation::{ChannelClosed, Conversation, HoldError, Stop};
use super::held;
use super::policy::{Hints, Policy, Verdict};
use super::withdrawing;
use crate::approval::Asker;
use crate::relay::Channel;
use crate::relay::message::{Kind, Message, code, passes_for};

/// The method that the policy is about.
const CALL: &str = "tools/call";

/// Stands between clients and the server, with the policy and the way to ask.
#[derive(Clone)]
pub(crate) struct Gatekeeper(Arc<Context>);

/// Who ended a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Client,
    Upstream,
}

impl Gatekeeper {
    pub(crate) fn new(policy: Policy, asker: Asker, upstream: String) -> Self {
        Self(Arc::new(Context { policy, asker, upstream }))
    }

    /// Passes messages between a client and the server, in both directions independently, until either side ends. After the
    /// client has ended, the server's remaining messages are still passed on.
    pub(crate) async fn serve(&self, client: Channel, mut upstream: Channel) -> Ended {
        let Channel { to: to_client, from: mut from_client } = client;
        let own = self.0.policy.withdraw_tool.as_ref().map(|name| withdrawing::definition(name.as_str()));
        let conversation = Arc::new(Conversation::new(to_client.clone(), upstream.to, own));
        let mut calls = JoinSet::new();
        let ended = tokio::select! {
            ended = async {
                while let Some(message) = from_client.recv().await {
                    if self.handle(&conversation, &mut calls, message).await.is_err() {
                        return Ended::Upstream;
                    }
                }
                Ended::Client
            } => ended,
            () = async {
                while let Some(message) = upstream.from.recv().await {
                    if let Some(message) = conversation.received(message)
                        && conversation.answer(message).await.is_err() {
                        break;
                    }
                }
            } => Ended::Upstream,
        };
        // Nobody is left to hear whether a held call was approved. The approvals stay saved for the next time.
        calls.shutdown().await;
        let Some(conversation) = Arc::into_inner(conversation).map(Conversation::close) else {
            return ended;
        };
        while let Some(message) = upstream.from.recv().await {
            if let Some(message) = conversation.received(message)
                && to_client.send(message).await.is_err()
            {
                break;
            }
        }
        ended
    }

    async fn handle(
        &self,
        conversation: &Arc<Conversation>,
        calls: &mut JoinSet<()>,
        message: Message,
    ) -> Result<(), ChannelClosed> {
        match message.kind() {
            Kind::Request { id, method } if passes_for(method, CALL) => {
                let problem = "some parsers read this method as `tools/call`: write it exactly like that";
                conversation.answer(Message::error(Some(id), code::INVALID_REQUEST, problem)).await
            }
            Kind::Request { id, method } if method == CALL => {
                match Call::parse(id.clone(), message.clone()) {
                    Ok(call) => self.tool_call(conversation, calls, call).await,
                    Err(problem) => {
                        conversation.answer(Message::error(Some(id), code::INVALID_PARAMS, &problem)).await
                    }
                }
            }
            // No version of the protocol has calls without an answer. A server might still run one, so it is dropped.
            Kind::Notification { method } if method == CALL || passes_for(method, CALL) => Ok(()),
            Kind::Notification { method } if method == "notifications/cancelled" => {
                match conversation.cancelled(&message) {
                    Some(cancelled) => conversation.forward(cancelled).await,
                    None => Ok(()),
                }
            }
            Kind::Gone { id } => {
                conversation.gone(id);
                Ok(())
            }
            _ => conversation.forward(message).await,
        }
    }

    async fn tool_call(
        &self,
        conversation: &Arc<Conversation>,
        calls: &mut JoinSet<()>,
        call: Call,
    ) -> Result<(), ChannelClosed> {
        let policy = &self.0.policy;
        if !policy.is_own(&call.tool) && !policy.needs_hints(&call.tool) {
            match policy.judge(&call.tool, Hints::default()) {
                Verdict::Allow if conversation.lists(&call.tool) => {
                    return conversation.forward(call.into_message()).await;
                }
                // First the server has to list the tool.
                Verdict::Allow => {}
                Verdict::Deny => return conversation.answer(answer::forbidden(&call)).await,
                Verdict::Ask(_) => {}
            }
        }
        match conversation.hold(&call.id) {
            Ok(()) => {}
            Err(HoldError::Known) => {
                let problem = "a call with this id is waiting for approval: give every request its own id";
                let refusal = Message::error(Some(&call.id), code::INVALID_REQUEST, problem);
                return conversation.answer(refusal).await;
            }
            Err(HoldError::TooMany) => return conversation.answer(answer::too_many(&call)).await,
        }
        while calls.try_join_next().is_some() {}
        let (context, conversation_of_call, id) =
            (Arc::clone(&self.0), Arc::clone(conversation), call.id.clone());
        let asking = Arc::default();
        let asking_of_call = Arc::clone(&asking);
        let task = calls.spawn(async move {
            held::handle(&context, &conversation_of_call, call, &asking_of_call).await;
        });
        conversation.stop_by(&id, Stop { task, asking });
        Ok(())
    }
}
