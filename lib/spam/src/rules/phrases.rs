//! Phrases that give fraud and junk away, by theme, in the languages it is written in most.
//!
//! Each theme counts once for its first phrase, and half as much again for a second and a third one. Phrases are
//! written as [`super::text::fold`] gives them: lower case, no accents, no apostrophes.

/// One theme.
pub struct Theme {
    /// Name shown by `--explain`.
    pub name: &'static str,
    /// What a person is told.
    pub why: &'static str,
    /// Logits for the first phrase.
    pub weight: f32,
    /// The phrases, separated by `|`.
    pub phrases: &'static str,
}

/// All themes.
pub const THEMES: &[Theme] = &[
    Theme {
        name: "ACCOUNT_THREAT",
        why: "threatens that an account is blocked, limited or about to be closed",
        weight: 1.6,
        phrases: "account has been suspended|account has been limited|account has been locked|account has been blocked|account has been disabled|\
account has been temporarily|account is suspended|account was suspended|account is locked|account is on hold|account on hold|account suspension|\
account termination|account deactivation|account will be closed|account will be suspended|account will be terminated|account will be deactivated|\
account will be deleted|account will be disabled|account will be locked|account will be blocked|account will be permanently|account may be suspended|\
avoid suspension|avoid account|avoid deactivation|avoid interruption|avoid service interruption|avoid losing access|access has been limited|\
access has been restricted|access will be restricted|limited access to your account|restricted your account|limited your account|\
suspended your account|locked your account|deactivate your account|restore your account|restore access|regain access|reactivate your account|\
re activate your account|permanent closure|permanently disabled|permanently deleted|permanently suspended|email will be closed|mailbox will be closed|\
mailbox will be deactivated|email account will be|subscription has expired|membership has expired|your membership has been|su cuenta ha sido|\
tu cuenta ha sido|cuenta bloqueada|cuenta suspendida|cuenta ha sido bloqueada|cuenta sera suspendida|cuenta fue|acceso a su cuenta|sua conta foi|\
sua conta sera|conta bloqueada|conta suspensa|acesso bloqueado|sera bloqueado|sera cancelado|sera suspenso|foi bloqueada|foi suspensa|evite o bloqueio|\
ihr konto wurde|ihr konto wird|konto gesperrt|konto eingeschrankt|vorubergehend gesperrt|zugang gesperrt|konto zu sperren|wird gesperrt|\
votre compte a ete|votre compte est|votre compte sera|compte suspendu|compte bloque|acces a votre compte|sera suspendu|il tuo account|il suo conto|\
conto e stato|account e stato sospeso|conto bloccato|e stato bloccato|e stato sospeso|uw account is|uw rekening|geblokkeerd|konto zostalo|hesabiniz",
    },
    Theme {
        name: "VERIFY_REQUEST",
        why: "asks to verify, confirm or update an account or personal data",
        weight: 1.9,
        phrases: "verify your account|verify your identity|verify your email|verify your information|verify your details|verify your wallet|verify your payment|\
verify your mailbox|verify now|verify identity|verify ownership|verify it was you|verification required|verification is required|\
complete the verification|complete verification|confirm your account|confirm your identity|confirm your information|confirm your details|\
confirm your email|confirm your payment|confirm your mailbox|confirm now|confirm ownership|confirm that you are|confirm your personal|\
confirm your billing|validate your account|validate your email|validate your mailbox|validate your information|account validation|update your account|\
update your information|update your payment|update your billing|update your details|update your personal|update your records|update your mailbox|\
review your account|review your information|review your activity|review activity|check activity|secure your account|protect your account|\
your personal details|account verification|identity verification|kyc verification|verifique su|verifique sua|verificar su|verificar mi cuenta|\
verificar tu|confirme su|confirme sua|confirmar su|confirmar sus datos|actualice su|actualizar su|actualizar sus datos|actualizacion de datos|\
validar su|atualize seu|atualize sua|atualize os seus dados|atualizar seus dados|atualizacao cadastral|atualizar cadastro|confirme seus dados|\
regularizar|regularizacao|recadastramento|desbloquear|konto verifizieren|konto bestatigen|identitat bestatigen|daten bestatigen|daten aktualisieren|\
bestatigen sie|verifizieren sie|aktualisieren sie|daten zu bestatigen|jetzt bestatigen|jetzt verifizieren|jetzt aktualisieren|kontodaten|\
verifiez votre|verifier votre|confirmez votre|confirmer votre|mettre a jour vos|mettez a jour|actualiser vos|activer votre|confirmez vos|\
verifica il tuo|verificare il|conferma i tuoi|aggiorna i tuoi|aggiornare i|confermare la|bevestig uw|verifieer uw|update uw",
    },
    Theme {
        name: "SECURITY_ALARM",
        why: "reports a suspicious sign-in, transaction or security problem",
        weight: 1.2,
        phrases: "unusual sign in|unusual signin|unusual login|unusual activity|unusual activities|suspicious activity|suspicious activities|suspicious login|\
suspicious sign in|suspicious transaction|suspicious transactions|suspicious attempt|unauthorized access|unauthorized login|unauthorized transaction|\
unauthorised transaction|unauthorised access|unauthorized activity|unauthorized use|unauthorized person|unrecognized device|unknown device|\
unrecognised device|new signin|login attempt|sign in attempt|log in attempt|security alert|security notice|security warning|security issue|\
security breach|someone tried to|someone else may|if this wasnt you|if this was not you|if it wasnt you|do not recognize this|didnt authorize|\
did not authorize|not authorize this|actividad inusual|actividad sospechosa|inicio de sesion|alerta de seguridad|movimiento inusual|atividade suspeita|\
atividade incomum|acesso suspeito|compra aprovada|compra suspeita|compra no valor|alerta de seguranca|ungewohnliche aktivitat|verdachtige aktivitat|\
ungewohnliche anmeldung|sicherheitswarnung|sicherheitsgrunden|aus sicherheitsgrunden|sicherheitsupdate|sicherheitsuberprufung|neue anmeldung|pushtan|\
photo tan|phototan|activite inhabituelle|activite suspecte|connexion inhabituelle|alerte de securite|attivita sospetta|attivita insolita|\
accesso insolito",
    },
    Theme {
        name: "MAILBOX_TRICK",
        why: "pretends to be the mail administrator: password expiry, quota, held messages",
        weight: 2.0,
        phrases: "password will expire|password expires|password is about to expire|password has expired|password expiration|password expiry|password is set to expire|\
keep same password|keep my password|keep current password|keep your password|keep the same password|retain current password|use same password|\
continue with same password|continue using the same password|mailbox is full|mailbox is almost full|mailbox has exceeded|mailbox quota|mailbox storage|\
mailbox size|email quota|storage is full|storage is almost full|storage limit|storage quota|storage full|cloud storage|out of storage|\
exceeded your storage|exceeded its storage|quota exceeded|exceeded the quota|pending messages|pending emails|pending mails|undelivered messages|\
undelivered emails|undelivered mails|incoming emails|incoming mails|messages were blocked|messages are pending|messages pending|\
messages have been held|messages on hold|held messages|quarantined messages|quarantined emails|blocked messages|release messages|release pending|\
release to inbox|retrieve messages|retrieve your|deliver messages|move to inbox|review messages|view messages|email administrator|it helpdesk|\
it help desk|email upgrade|mailbox upgrade|upgrade your mailbox|upgrade your email|upgrade mailbox|mail version|email version|shutdown request|\
deactivation request|request to terminate|request to deactivate|cpanel|shared a file|shared a document|shared with you|sent you a document|\
document has been shared|new voicemail|new fax|fax received|e fax|docusign|contrasena caducara|buzon lleno|buzon de correo|su buzon|sua senha|\
senha expira|caixa de correio|caixa postal|passwort lauft|speicher voll|speicherplatz|boite de reception est pleine|boite mail|mot de passe expire|\
casella di posta|la password|spazio di archiviazione",
    },
    Theme {
        name: "PARCEL_TRICK",
        why: "speaks of a parcel that waits, a fee or a missed delivery",
        weight: 1.4,
        phrases: "your parcel|your shipment|package is waiting|parcel is waiting|package delivery|parcel delivery|package could not be|parcel could not be|\
delivery attempt|attempted delivery|delivery failed|failed delivery|unable to deliver|missed delivery|schedule your delivery|schedule delivery|\
confirm delivery|confirm your delivery|confirm your address|incomplete address|shipping address is|incorrect address|shipping fee|delivery fee|\
customs fee|customs duty|customs charges|import duty|redelivery|re delivery|awaiting delivery|pending delivery|pending package|package pending|\
tracking code|track your package|track my package|track package|track your parcel|release your package|stopped at|waiting for delivery|su paquete|\
tu paquete|su envio|tu envio|gastos de envio|paquete pendiente|seu pacote|sua encomenda|seu pedido|sua entrega|taxa de|objeto postal|foi taxado|\
entrega pendente|ihr paket|ihre sendung|ihre lieferung|paket konnte nicht|sendung konnte|zollgebuhr|zollgebuhren|versandkosten|votre colis|\
colis en attente|frais de livraison|frais de douane|il tuo pacco|il suo pacco|uw pakket|przesylka",
    },
    Theme {
        name: "PAYMENT_TRICK",
        why: "speaks of a failed payment, a renewal, a refund or an overdue bill",
        weight: 1.2,
        phrases: "payment failed|payment was declined|payment declined|payment has failed|payment failure|payment was unsuccessful|could not process your payment|\
unable to process your payment|problem with your payment|payment issue|payment has been processed|payment was processed|payment pending|\
pending payment|outstanding payment|payment advice|remittance advice|swift copy|proof of payment|payment slip|past due|overdue invoice|unpaid invoice|\
due invoice|invoice attached|view invoice|new invoice|outstanding invoice|auto renewal|auto renewed|automatic renewal|auto renew|has been renewed|\
will be renewed|renew subscription|subscription renewal|extend your subscription|extend for free|extend subscription|subscription will expire|\
subscription is expiring|protection has expired|cancel the subscription|cancel this subscription|cancel subscription|cancel your subscription|\
cancel the order|cancel this order|cancel order|charged to your|will be charged|has been charged|debited from|has been debited|deducted from|\
will be debited|tax refund|tax return|refund department|eligible to receive|toll free|customer support number|contact our support|call us at|\
call us on|call immediately|billing department|billing problem|billing team|request for quotation|su pago|pago pendiente|reembolso|devolucion|\
segunda via|nota fiscal|vencimento|em atraso|restituicao|intimacao|receita federal|ruckerstattung|erstattung|abbuchung|lastschrift|remboursement|\
impayee|rimborso|bolletta|terugbetaling",
    },
    Theme {
        name: "PRIZE",
        why: "promises a prize, a gift or a reward",
        weight: 1.5,
        phrases: "you have won|youve won|you won|you are a winner|you are the winner|lucky winner|selected as a winner|has been selected|have been selected|been chosen|\
have been chosen|youve been selected|youve been chosen|claim your|claim now|claim it|claim reward|claim prize|your reward|exclusive reward|\
special reward|free gift|gift card|giftcard|gift voucher|cash prize|mystery box|loyalty program|loyalty reward|points expire|short survey|quick survey|\
take the survey|complete the survey|complete this survey|marketing survey|shopper survey|free spins|welcome bonus|ha ganado|has ganado|felicidades|\
felicitaciones|ganador|parabens|voce ganhou|foi sorteado|sorteio|resgate|resgatar|seus pontos|expiram|herzlichen gluckwunsch|gewonnen|gewinner|\
gewinnspiel|belohnung|vous avez gagne|gagnant|congratulazioni|hai vinto|vincitore|gefeliciteerd",
    },
    Theme {
        name: "ADVANCE_FEE",
        why: "reads like an advance-fee or inheritance fraud",
        weight: 2.2,
        phrases: "next of kin|million dollars|million united states dollars|million usd|million euros|million pounds|million british|usd million|$ million|beneficiary|\
late client|my late husband|late husband|deceased client|atm card|atm visa card|compensation fund|compensation payment|world bank|federal reserve|\
fund transfer|transfer of funds|transfer of the fund|release of your fund|your fund|unclaimed fund|central bank of nigeria|burkina faso|benin republic|\
investment proposal|business proposal|business proposition|mutual benefit|mutually beneficial|strictly confidential|utmost confidentiality|\
foreign partner|reliable partner|trusted partner|charity work|dear beloved|good day to you|i am contacting you|permit me to|your urgent response|\
get back to me|contact me through|i have a proposal|a proposal for you|loan offer|personal loan|business loan|loan at|apply for a loan|\
financial assistance|project funding",
    },
    Theme {
        name: "EXTORTION",
        why: "threatens to publish recordings or data unless money is paid",
        weight: 2.6,
        phrases: "i recorded you|recorded you|recorded a video|video of you|your webcam|i hacked|hacked your|have been hacked|has been hacked|was hacked|\
i have access to your|full access to your|my malware|trojan virus|my virus|porn sites|adult sites|masturbating|masturbate|satisfying yourself|\
pleasuring|dirty secret|all your contacts|your friends and family|your relatives|bitcoin address|bitcoin wallet|btc wallet|btc address|wallet address|\
in bitcoin|after opening this|after reading this|time starts|dont try to contact|i will delete|delete the video|pegasus",
    },
    Theme {
        name: "CRYPTO",
        why: "is about crypto wallets, coins or quick trading gains",
        weight: 1.8,
        phrases: "cryptocurrency|ethereum|usdt|wallet verification|trust wallet|metamask|meta mask|ledger live|ledger nano|coinbase|binance|opensea|seed phrase|\
recovery phrase|secret phrase|token claim|claim tokens|walletconnect|bitcoin era|bitcoin code|trading platform|passive income|earn money online|\
financial freedom|investment plan|guaranteed profit|double your",
    },
    Theme {
        name: "BUSINESS_SCAM",
        why: "reads like a request from a false superior or supplier",
        weight: 1.6,
        phrases: "are you available|are you at your desk|are you in the office|quick task|quick favor|urgent task|urgent request|i need you to|need a favor|\
do me a favor|itunes card|steam card|google play card|change my bank|change of bank|new bank details|new account details|update my direct deposit|\
updated bank|bank details have changed|kindly send me your|your cell number|your whatsapp|personal number|mobile number to|keep this confidential|\
wire payment|process a payment|make a payment",
    },
    Theme {
        name: "KINDLY",
        why: "uses set phrases of mass fraud",
        weight: 1.0,
        phrases: "kindly click|kindly confirm|kindly verify|kindly update|kindly find|kindly follow|kindly download|kindly review|kindly view|kindly check|kindly open|\
kindly respond|kindly reply|kindly provide|kindly contact|dear valued|dear account|dear email|dear beneficiary|dear costumer|dear cardholder|\
dear subscriber|dear webmail|dear mailbox|hello dear|click here|click the button|click the link|click on the link|click below|click the below|\
click button|click on the button|button below|follow the link|tap here|within 24 hours|within 48 hours|within 24hrs|in 24 hours|immediate action|\
immediate attention|final notice|final warning|last warning|last reminder|final reminder|last chance|expires today|expire today|\
your response is required|important notice|important notification|estimado cliente|estimada cliente|estimado usuario|estimado a|haga clic|haz clic|\
clic aqui|pulse aqui|prezado|prezada|caro cliente|clique aqui|clique no|clique abaixo|sehr geehrter kunde|sehr geehrte kundin|sehr geehrte damen|\
lieber kunde|liebe kundin|klicken sie|hier klicken|cher client|chere cliente|cliquez|cliquer|gentile cliente|clicca|clicca qui|geachte klant|klik hier|\
szanowny kliencie|drogi kliencie",
    },
    Theme {
        name: "FAMILIAR_WORDS",
        why: "uses words common in junk",
        weight: 0.5,
        phrases: "dear customer|dear client|dear member|dear user|valued customer|dear friend|dear sir|act now|action required|link below|following link|limited time|congratulations|lottery|refund|nigeria|god bless|next of kin|viagra|cialis|penis|mortgage|refinance|singles|toll free|attn|make money|extra income|opt out|per week|bulk email|united nations|western union|barrister|million dollars|inheritance|beneficiary|your package|tracking number|voicemail|invoice attached|attached invoice|wire transfer|gift cards|gift voucher|voucher|bitcoin|cryptocurrency|btc|webmail|mail administrator|your invoice|payment details|payment method|order confirmation|purchase order|48 hours|24 hours|72 hours|deceased|your wallet|crypto|mailbox full|porn|account information|payment confirmation|billing information|failure to|take action|erection|renew your|renew now|renewal|overdue|rechnung|zahlung|facture|factura|fattura|boleto|fatura|pagamento|livraison|lieferung|paket|colis|pacco|paquete|consegna|spedizione|umfrage|premio|pontos|milhas|multa|debito",
    },
    Theme {
        name: "ODD_GOODS",
        why: "advertises pills, pounds, dates, ranks or easy money",
        weight: 1.5,
        phrases: "weight loss|lose weight|burn fat|belly fat|fat burning|keto|cbd|gummies|blood sugar|tinnitus|neuropathy|prostate|erectile|male enhancement|hair loss|\
toenail|joint pain|back pain|memory loss|doctors hate|big pharma|doctor reveals|one simple trick|weird trick|secret trick|anti aging|hearing loss|\
vision loss|gut health|seo services|google ranking|first page of google|rank your|website traffic|guest post|backlinks|backlink|redesign your|\
mobile app development|lead generation|email lists|mailing list database|bulk email|attendees list|hookup|russian women|asian women|ukrainian|\
meet women|horny|private photos|webcam girls|work from home|solar panels|life insurance|auto insurance|car insurance|car warranty|auto warranty|\
home warranty|walk in tub|bathroom remodel|credit score|debt relief|pre approved|preapproved|credit card debt|timeshare|while supplies last|80% off|\
90% off|70% off|rolex|sunglasses",
    },
];
